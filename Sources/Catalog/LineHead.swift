internal import ArtifactRecords
internal import SystemCalls

/// What a file that was about to get its name is called in its mount's staging directory.
struct IntentName: Hashable {
    let mount: ArraySlice<UInt8>
    let staged: ArraySlice<UInt8>

    var text: String { String(decoding: mount, as: UTF8.self) + "/" + String(decoding: staged, as: UTF8.self) }
}

/// What the beginning of a ledger's line says, which is quicker to learn than all of it: its members have an order (DISK FORMAT, "The ledger").
enum LineHead {
    private static let (eventMark, mountMark, stagedMark) = (
        Array("\"event\":\"".utf8), Array("\"mount\":\"".utf8), Array("\"staged\":\"".utf8)
    )

    /// What happened; nil for what is no line, and for what this version does not know.
    static func event(of line: ArraySlice<UInt8>) -> LedgerEvent.Name? {
        value(after: eventMark, in: line.prefix(256)).flatMap {
            LedgerEvent.Name(rawValue: String(decoding: $0, as: UTF8.self))
        }
    }

    /// Which intent a line is, or settles; nil where it does not say. Neither name has anything that JSON escapes.
    static func intent(of line: ArraySlice<UInt8>) -> IntentName? {
        let head = line.prefix(1024)
        guard let mount = value(after: mountMark, in: head), let staged = value(after: stagedMark, in: head) else {
            return nil
        }
        return IntentName(mount: ArraySlice(Array(mount)), staged: ArraySlice(Array(staged)))
    }

    private static func value(after mark: [UInt8], in head: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let place = head.withUnsafeBytes { head in
            mark.withUnsafeBytes { SystemCall.place(of: $0, in: head) }
        }
        guard let place else { return nil }
        let rest = head[(head.startIndex + place + mark.count)...]
        guard let quote = rest.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
        return rest[..<quote]
    }
}
