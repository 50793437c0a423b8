internal import Glibc
internal import SystemCalls

/// `/proc/<pid>/status` (proc_pid_status(5)), of which reading waits for nothing, as that of `stat` may (`WriterEnding.of`), and other files of
/// `/proc` that have a key and a value in each line.
struct StatusText {
    let text: UnsafeRawBufferPointer

    /// What comes after a key that begins a line, to the line's end; nil when it is not there as a whole.
    func value(_ key: StaticString) -> UnsafeRawBufferPointer? {
        guard var start = text.baseAddress else { return nil }
        let (end, length) = (start + text.count, key.utf8CodeUnitCount)
        while start < end, let lineEnd = memchr(start, 10, end - start).map({ UnsafeRawPointer($0) }) {
            if lineEnd - start >= length, memcmp(start, key.utf8Start, length) == 0 {
                return UnsafeRawBufferPointer(start: start + length, count: lineEnd - start - length)
            }
            start = lineEnd + 1
        }
        return nil
    }

    /// The numbers after a key; nil when something else is there.
    func numbers<Number: FixedWidthInteger>(_ key: StaticString) -> [Number]? {
        guard let value = value(key) else { return nil }
        var numbers: [Number] = []
        for word in value.split(whereSeparator: { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }) {
            guard let number = ProcFile.number(UnsafeRawBufferPointer(rebasing: word)).flatMap(Number.init(exactly:))
            else { return nil }
            numbers.append(number)
        }
        return numbers
    }

    /// The first of them.
    func number(_ key: StaticString) -> Int32? {
        let numbers: [Int32]? = numbers(key)
        return numbers?.first
    }

    /// The number in octal digits after a key.
    func octal(_ key: StaticString) -> UInt64? {
        value(key).flatMap { UInt64(String(decoding: $0, as: UTF8.self), radix: 8) }
    }

    /// The process (thread group).
    var process: Int32? { number("Tgid:") }
    var parent: Int32? { number("PPid:") }
    /// 0 when that is not shown.
    var session: Int32 { number("NSsid:") ?? 0 }

    /// What it is called; nil when that is not there, or has something in it that is written in another way here than in `comm`.
    var name: String? {
        value("Name:\t").flatMap { name in
            name.contains(UInt8(ascii: "\\")) ? nil : String(decoding: name, as: UTF8.self)
        }
    }

    /// The letter of its state.
    var state: UInt8? { value("State:\t")?.first }

    /// The signals that it ignores, a bit each.
    var ignoredSignals: UInt64? {
        value("SigIgn:\t").flatMap { UInt64(String(decoding: $0, as: UTF8.self), radix: 16) }
    }

    /// Its further groups; nil when they are not there as a whole.
    var groups: [gid_t]? { numbers("Groups:") }

    /// The rights with which it reads files: its file system ids and groups; nil when they are not there as a whole.
    var rights: UserRights? {
        // Real, effective, saved, of the file system.
        guard let users: [UInt32] = numbers("Uid:"), users.count == 4, let ids: [UInt32] = numbers("Gid:"),
            ids.count == 4, let groups
        else { return nil }
        return UserRights(user: users[3], group: ids[3], groups: groups)
    }
}

extension ProcFile {
    /// A number in decimal digits, after a minus sign perhaps, and nothing else.
    static func number(_ text: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var (value, digits): (Int64, Int) = (0, 0)
        for byte in UnsafeRawBufferPointer(rebasing: text[(isNegative ? 1 : 0)...]) {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (tens, isTooMuch) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = tens.addingReportingOverflow(Int64(digit))
            guard !isTooMuch, !isOver else { return nil }
            (value, digits) = (sum, digits + 1)
        }
        return digits == 0 ? nil : isNegative ? -value : value
    }

    /// Reads as much of a process's or a thread's status as fits; nil when it is gone.
    static func withStatus<Result>(
        of process: Int32, atMost most: Int = 4096, _ body: (StatusText) -> Result?
    ) -> Result? {
        withUnsafeTemporaryAllocation(byteCount: most, alignment: 1) { buffer -> Result? in
            read(process, "status", into: buffer).flatMap { body(StatusText(text: $0)) }
        }
    }
}
