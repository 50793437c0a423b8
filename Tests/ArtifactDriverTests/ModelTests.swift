import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver

/// Random operation streams on the driver, compared with the model after every step.
@Suite(.serialized) struct ModelTests {
    @Test func randomStreamsBehaveAsTheModel() throws {
        let seed = Seed.fromEnvironment()
        for round in 0..<60 {
            var generator = SplitMix64(seed: seed &+ UInt64(round))
            let steps = (0..<120).map { _ in Step.random(&generator) }
            guard let difference = try run(steps) else { continue }
            let (shrunk, message) = try shrink(steps, difference)
            Issue.record(
                """
                seed \(seed &+ UInt64(round)): \(message)
                \(shrunk.enumerated().map { "  \($0). \($1)" }.joined(separator: "\n"))
                """)
            return
        }
    }

    /// Takes steps out for as long as a difference remains.
    private func shrink(_ steps: [Step], _ difference: String) throws -> ([Step], String) {
        var steps = steps
        var message = difference
        var size = steps.count / 2
        while size >= 1 {
            var start = 0
            while start < steps.count {
                var fewer = steps
                fewer.removeSubrange(start..<min(start + size, steps.count))
                if let other = try run(fewer) {
                    steps = fewer
                    message = other
                } else {
                    start += size
                }
            }
            size /= 2
        }
        return (steps, message)
    }

    /// The same from several threads at once, in the same directories, each with names of its own: what one does is nothing to the others.
    @Test func streamsOfManyThreadsBehaveAsTheirModels() throws {
        let seed = Seed.fromEnvironment() &+ 0x7EAD
        for round in 0..<8 {
            let harness = try Harness()
            let differences = Mutex<[String]>([])
            runThreads(4) { thread in
                let streamSeed = seed &+ UInt64(round * 16 + thread)
                var generator = SplitMix64(seed: streamSeed)
                let steps = (0..<100).map { _ in Step.random(&generator) }
                let driven = Driven(harness: harness, thread: thread)
                if let difference = run(steps, driven) {
                    differences.withLock { $0.append("seed \(streamSeed), thread \(thread): \(difference)") }
                }
            }
            let found = differences.withLock { $0 }
            guard found.isEmpty else { throw Difference(text: found.joined(separator: "\n")) }
        }
    }

    private struct Difference: Error, CustomStringConvertible {
        let text: String
        var description: String { text }
    }

    private struct OpenHandle {
        let file: Model.File
        let inode: InodeNumber
        let handle: HandleID
        /// Whether the kernel tells of its close.
        let isFlushed: Bool

        init(_ file: Model.File, _ inode: InodeNumber, _ opened: Opened) {
            (self.file, self.inode, handle) = (file, inode, opened.handle)
            isFlushed = !opened.traits.contains(.noFlush)
        }
    }

    /// The volume as one thread drives it: the model's names are its own.
    private struct Driven {
        let harness: Harness
        var thread: Int?

        var volume: Volume { harness.volume }

        /// What a name of the model is called in the tree.
        func text(_ name: String) -> String {
            guard let thread else { return name }
            return name.replacing("chr1", with: "chr\(2 * thread + 3)").replacing("chr2", with: "chr\(2 * thread + 4)")
                .replacing("chrUn_K", with: "chrUn_K\(thread)").replacing("tmpfile", with: "tmpfile\(thread)")
                .replacing("x.part", with: "x\(thread).part").replacing("notes", with: "notes\(thread)")
        }
    }

    /// Runs a stream on a new store.
    ///
    /// - Returns: the first difference, or nil.
    private func run(_ steps: [Step]) throws -> String? {
        run(steps, Driven(harness: try Harness()))
    }

    private func run(_ steps: [Step], _ driven: Driven) -> String? {
        var model = Model()
        var open: [OpenHandle] = []
        defer { for handle in open { driven.volume.release(inode: handle.inode, handle: handle.handle) } }
        for (index, step) in steps.enumerated() {
            let (expected, actual) = apply(step, &model, driven, &open)
            driven.harness.settle()
            if expected != actual {
                return "step \(index), \(step): expected \(name(expected)), got \(name(actual))"
            }
            if let difference = compare(model, driven) { return "after step \(index), \(step): \(difference)" }
        }
        return nil
    }

    private func name(_ error: Errno?) -> String { error.map { "\($0)" } ?? "success" }

    private func outcome(_ body: () throws(Errno) -> Void) -> Errno? {
        do throws(Errno) {
            try body()
            return nil
        } catch { return error }
    }

    private func apply(
        _ step: Step, _ model: inout Model, _ driven: Driven, _ open: inout [OpenHandle]
    ) -> (expected: Errno?, actual: Errno?) {
        let (harness, volume) = (driven.harness, driven.volume)
        switch step {
        case .create(let name, let exclusive, let truncating):
            let (expected, file) = model.create(name, exclusive: exclusive, truncating: truncating)
            var made: OpenHandle?
            let actual = outcome { () throws(Errno) in
                let flags = O_WRONLY | O_CREAT | (exclusive ? O_EXCL : 0) | (truncating ? O_TRUNC : 0)
                let created = try harness.call { request throws(Errno) in
                    try driven.text(name.text).withEntryName { entry throws(Errno) in
                        try volume.create(
                            request, parent: harness.parent(name.place), name: entry, mode: 0o644,
                            flags: OpenFlags(rawValue: flags))
                    }
                }
                if let file { made = OpenHandle(file, created.entry.inode, created.opened) }
            }
            if let made { open.append(made) }
            return (expected, actual)
        case .openToWrite(let name, let truncating):
            guard let file = model.files[name] else { return (nil, nil) }
            let expected = model.openToWrite(file, truncating: truncating)
            var made: OpenHandle?
            let actual = outcome { () throws(Errno) in
                let inode = try harness.lookup(driven.text(name.text), in: harness.parent(name.place))
                let opened = try harness.call { request throws(Errno) in
                    try volume.open(
                        request, inode: inode, flags: OpenFlags(rawValue: O_WRONLY | (truncating ? O_TRUNC : 0)))
                }
                made = OpenHandle(file, inode, opened)
            }
            if let made { open.append(made) }
            return (expected, actual)
        case .write(let index, let content):
            guard !open.isEmpty else { return (nil, nil) }
            let handle = open[index % open.count]
            let offset = handle.file.bytes.count
            handle.file.bytes += content.bytes
            let actual = outcome { () throws(Errno) in
                let descriptor = try harness.call { request throws(Errno) in
                    try volume.write(
                        request, inode: handle.inode, handle: handle.handle, offset: Int64(offset),
                        size: content.bytes.count)
                }
                let count = pwrite(descriptor.rawValue, content.bytes, content.bytes.count, off_t(offset))
                if count != content.bytes.count { throw Errno.ioError }
            }
            return (nil, actual)
        case .close(let index):
            guard !open.isEmpty else { return (nil, nil) }
            let handle = open.remove(at: index % open.count)
            let found = model.close(handle.file)
            // A close that the kernel does not tell of always succeeds.
            let expected = handle.isFlushed ? found : nil
            let actual = outcome { () throws(Errno) in
                guard handle.isFlushed else { return }
                try harness.call { request throws(Errno) in
                    try volume.flush(request, inode: handle.inode, handle: handle.handle)
                }
            }
            volume.release(inode: handle.inode, handle: handle.handle)
            return (expected, actual)
        case .unlink(let name):
            let expected = model.unlink(name)
            let actual = outcome { () throws(Errno) in
                try harness.call { request throws(Errno) in
                    try driven.text(name.text).withEntryName { entry throws(Errno) in
                        try volume.unlink(request, parent: harness.parent(name.place), name: entry)
                    }
                }
            }
            return (expected, actual)
        case .truncate(let name, let size):
            let expected = model.truncate(name, size: size)
            let actual = outcome { () throws(Errno) in
                let inode = try harness.lookup(driven.text(name.text), in: harness.parent(name.place))
                var changes = AttributeChanges()
                changes.size = Int64(size)
                _ = try harness.call { request throws(Errno) in
                    try volume.setAttributes(request, inode: inode, changes: changes, handle: nil)
                }
            }
            return (expected, actual)
        case .rename(let from, let to, let noReplace):
            let expected = model.rename(from, to, noReplace: noReplace)
            let actual = outcome { () throws(Errno) in
                try harness.call { request throws(Errno) in
                    try driven.text(from.text).withEntryName { old throws(Errno) in
                        try driven.text(to.text).withEntryName { new throws(Errno) in
                            try volume.rename(
                                request, parent: harness.parent(from.place), name: old,
                                newParent: harness.parent(to.place), newName: new,
                                flags: noReplace ? .noReplace : [])
                        }
                    }
                }
            }
            return (expected, actual)
        }
    }

    /// Compares listings, bytes and states.
    private func compare(_ model: Model, _ driven: Driven) -> String? {
        let harness = driven.harness
        let own = Set(Model.names.map { driven.text($0.text) })
        for place in Model.Place.allCases {
            let expected = model.files.keys.filter { $0.place == place }.map { driven.text($0.text) }.sorted()
            let listed: [String]
            do throws(Errno) { listed = try harness.list(harness.parent(place)) } catch {
                return "\(place) cannot be listed: \(error)"
            }
            let actual = driven.thread == nil ? listed : listed.filter { own.contains($0) }
            if expected != actual { return "\(place) lists \(actual), expected \(expected)" }
        }
        for (name, file) in model.files {
            do throws(Errno) {
                let inode = try harness.lookup(driven.text(name.text), in: harness.parent(name.place))
                let bytes = try harness.bytes(inode)
                if bytes != file.bytes {
                    return "\(name) has \(bytes.count) bytes, expected \(file.bytes.count), or they differ"
                }
                let state = try harness.call { request throws(Errno) in
                    try "user.artifact.state".withEntryName { entry throws(Errno) in
                        try harness.volume.extendedAttribute(request, inode: inode, name: entry)
                    }
                }
                let text = String(decoding: state, as: UTF8.self)
                if text != model.state(of: file).rawValue {
                    return "\(name) is \(text), expected \(model.state(of: file))"
                }
            } catch { return "\(name): \(error)" }
        }
        return nil
    }
}
