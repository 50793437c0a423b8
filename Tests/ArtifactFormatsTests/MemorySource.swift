import ArtifactFormats
import SystemPackage
import Testing

/// A file in memory whose reads may come back short, as those of a real one may.
struct MemorySource: ByteSource {
    var bytes: [UInt8]
    /// The most that one read returns.
    var readSize = Int.max
    /// Reads at or after this offset fail.
    var failsAt = Int64.max
    /// What `count` says, when it is to be wrong: a file that changes under the check.
    var claimedCount: Int64?

    var count: Int64 { claimedCount ?? Int64(bytes.count) }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        if offset >= failsAt { throw .ioError }
        guard offset < Int64(bytes.count) else { return 0 }
        let length = min(buffer.count, bytes.count - Int(offset), readSize)
        buffer.copyBytes(from: bytes[Int(offset)..<(Int(offset) + length)])
        return length
    }
}

/// What a check said.
enum Outcome: Equatable, CustomStringConvertible {
    case accepted(FormatFacts)
    case refused(String)

    var facts: FormatFacts? {
        guard case .accepted(let facts) = self else { return nil }
        return facts
    }
    var reason: String? {
        guard case .refused(let reason) = self else { return nil }
        return reason
    }
    var isAccepted: Bool { facts != nil }

    var description: String {
        switch self {
        case .accepted(let facts): "accepted, \(facts)"
        case .refused(let reason): "refused: \(reason)"
        }
    }
}

extension FormatCheck {
    /// Every check; of tables a form of each kind, since all of them together take long.
    static let kinds: [FormatCheck] = allCases.filter {
        guard case .table(let form) = $0 else { return true }
        return [
            TableForm(), TableForm(isCompressed: true), TableForm(comment: .hash, hasHeader: false, hasQuotes: true),
        ].contains(form)
    }

    func quick(_ bytes: [UInt8]) -> Outcome {
        do throws(FormatError) {
            try checkQuickly(MemorySource(bytes: bytes))
            return .accepted(FormatFacts())
        } catch {
            return .refused(reason(error))
        }
    }

    /// The whole check; every byte must have come to `eachChunk` when it accepts, and a prefix when it refuses.
    func whole(_ bytes: [UInt8], readSize: Int = .max, _ location: SourceLocation = #_sourceLocation) -> Outcome {
        var seen: [UInt8] = []
        do throws(FormatError) {
            let facts = try checkWhole(MemorySource(bytes: bytes, readSize: readSize)) { seen.append(contentsOf: $0) }
            #expect(seen == bytes, "eachChunk did not get the file", sourceLocation: location)
            return .accepted(facts)
        } catch {
            #expect(bytes.starts(with: seen), "eachChunk got something else", sourceLocation: location)
            return .refused(reason(error))
        }
    }

    private func reason(_ error: FormatError) -> String {
        switch error {
        case .invalid(let reason):
            // A reason goes to terminals and logs.
            #expect(reason.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "unprintable: \(reason)")
            #expect(reason.utf8.count <= 300, "too long: \(reason)")
            return reason
        case .unreadable(let errno): return "unreadable \(errno)"
        }
    }
}

/// Read sizes that put chunk edges at every place of a short file, and around the sizes that the checks work in.
let readSizes = [1, 2, 3, 5, 7, 8, 13, 63, 64, 65, 1000, Int.max]

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
