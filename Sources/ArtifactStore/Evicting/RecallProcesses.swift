internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// What became of an evicted artifact's bytes.
public enum RecallAnswer: Sendable, Hashable {
    /// They are in the file, on disk, and what was sealed; the object's key.
    case done(key: String)
    /// They are not, and why, for people.
    case failed(String, isFull: Bool)

    init?(_ text: [UInt8]) {
        guard let json = JSONValue(parsing: text) else { return nil }
        if let key = json["key"]?.string {
            self = .done(key: key)
        } else if let reason = json["failed"]?.string {
            self = .failed(reason, isFull: json["full"] == .bool(true))
        } else {
            return nil
        }
    }

    var text: [UInt8] {
        let json: JSONObject =
            switch self {
            case .done(let key): ["key": .string(key)]
            case .failed(let reason, let isFull): ["failed": .string(reason), "full": .bool(isFull)]
            }
        return Array(JSONValue.object(json).description.utf8)
    }
}

/// The processes by which a driver brings evicted artifacts back: they alone know servers and credentials, and get no more of the store than the
/// file that is to be filled. One is started with the first artifact, brings one at a time, and is kept for the next.
package final class RecallProcesses: Sendable {
    private struct State {
        var idle: [HelperProcess] = []
        var busy: [UInt64: HelperProcess] = [:]
        var next: UInt64 = 0
        var isEnded = false
    }

    private let command: [String]
    /// A leaf in the order of locks; nothing is waited for under it.
    private let state = Lock(State())

    private static let longestAnswer: UInt64 = 1 << 20
    static let request: UInt8 = 1

    /// - Parameter command: a program and its arguments; it calls ``RecallService/serve(socket:_:)`` with its standard input.
    package init(by command: [String]) { self.command = command }

    deinit { end() }

    /// Brings an artifact's bytes into its file. It takes as long as the server does.
    package func fetch(_ recall: ArtifactRecall) -> RecallAnswer {
        // One that waited for work may have been ended from outside meanwhile.
        let ended = RecallAnswer.failed("the process that was to bring it ended without an answer", isFull: false)
        for attempt in 0..<2 {
            guard let (number, process) = take(fresh: attempt > 0) else {
                return .failed("no process can be started that brings it", isFull: false)
            }
            if let answer = ask(process, recall) {
                giveBack(number, process)
                return answer
            }
            let wasStopped = drop(number)
            _ = process.end()
            if wasStopped { return .failed("the mount ends", isFull: false) }
        }
        return ended
    }

    private func ask(_ process: HelperProcess, _ recall: ArtifactRecall) -> RecallAnswer? {
        let wanted: JSONObject = ["real": .string(recall.real), "mark": .string(recall.mark.text)]
        do throws(Errno) {
            try process.send(Self.request, with: recall.descriptor)
            try process.send(Array(JSONValue.object(wanted).description.utf8))
        } catch { return nil }
        return process.text(longest: Self.longestAnswer).flatMap { RecallAnswer($0) }
    }

    /// Ends all of them.
    package func end() {
        let (idle, busy) = state.withLock { state in
            defer { (state.idle, state.isEnded) = ([], true) }
            return (state.idle, Array(state.busy.values))
        }
        for process in busy { process.kill() }
        for process in idle { _ = process.end() }
    }

    private func take(fresh: Bool) -> (UInt64, HelperProcess)? {
        let (known, isEnded) = state.withLock { (fresh ? nil : $0.idle.popLast(), $0.isEnded) }
        guard !isEnded, let process = known ?? HelperProcess(command) else { return nil }
        let number = state.withLock { state in
            state.next &+= 1
            state.busy[state.next] = process
            return state.next
        }
        return (number, process)
    }

    private func giveBack(_ number: UInt64, _ process: HelperProcess) {
        let isKept = state.withLock { state in
            state.busy[number] = nil
            guard state.idle.isEmpty, !state.isEnded else { return false }
            state.idle.append(process)
            return true
        }
        if !isKept { _ = process.end() }
    }

    /// - Returns: whether all were ended.
    private func drop(_ number: UInt64) -> Bool {
        state.withLock { state in
            state.busy[number] = nil
            return state.isEnded
        }
    }
}

/// What a process does that brings evicted artifacts back for a driver (`RecallProcesses`).
public enum RecallService {
    /// Brings what is asked for by the socket, one after the other, until the driver closes it. It ends at once with the driver.
    ///
    /// - Parameter bring: fills an empty file that is open to read and write, by a real path from the store and what is to come.
    public static func serve(
        socket number: Int32, _ bring: (_ real: String, EvictionMark, FileDescriptor) -> RecallAnswer
    ) {
        let socket = FileDescriptor(rawValue: number)
        WorkerThread(name: "artifact-end") {
            var request = pollfd(fd: number, events: 0, revents: 0)
            while poll(&request, 1, -1) < 1 || request.revents & Int16(POLLHUP | POLLERR | POLLNVAL) == 0 {}
            _exit(0)
        }?.detach()
        while true {
            guard case let (byte, file?)?? = try? SystemCall.receive(from: socket), byte == RecallProcesses.request
            else { return }
            defer { SystemCall.close(file) }
            guard let text = text(from: socket), let json = JSONValue(parsing: text), let real = json["real"]?.string,
                let mark = json["mark"]?.string.flatMap({ EvictionMark($0.utf8) })
            else { return }
            let answer = bring(real, mark, file).text
            do throws(Errno) { try SystemCall.send(HelperProcess.length(answer.count) + answer, to: socket) } catch {
                return
            }
        }
    }

    private static func text(from socket: FileDescriptor) -> [UInt8]? {
        guard let head = bytes(8, from: socket) else { return nil }
        let length = head.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= 65_536 else { return nil }
        return bytes(Int(length), from: socket)
    }

    private static func bytes(_ count: Int, from socket: FileDescriptor) -> [UInt8]? {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: max(1, count))
        while all.count < count {
            let left = count - all.count
            let got = buffer.withUnsafeMutableBytes {
                (try? SystemCall.read(socket, into: .init(rebasing: $0[..<left]))) ?? 0
            }
            guard got > 0 else { return nil }
            all += buffer[..<got]
        }
        return all
    }
}
