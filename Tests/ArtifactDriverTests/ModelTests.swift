import FuseKernel
import Glibc
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

    private struct OpenHandle {
        let file: Model.File
        let inode: InodeNumber
        let handle: HandleID
    }

    /// Runs a stream on a new store.
    ///
    /// - Returns: the first difference, or nil.
    private func run(_ steps: [Step]) throws -> String? {
        let harness = try Harness()
        var model = Model()
        var open: [OpenHandle] = []
        for (index, step) in steps.enumerated() {
            let (expected, actual) = apply(step, &model, harness, &open)
            harness.settle()
            if expected != actual {
                return "step \(index), \(step): expected \(name(expected)), got \(name(actual))"
            }
            if let difference = compare(model, harness) { return "after step \(index), \(step): \(difference)" }
        }
        for handle in open { harness.volume.release(inode: handle.inode, handle: handle.handle) }
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
        _ step: Step, _ model: inout Model, _ harness: Harness, _ open: inout [OpenHandle]
    ) -> (expected: Errno?, actual: Errno?) {
        let volume = harness.volume
        switch step {
        case .create(let name, let exclusive, let truncating):
            let (expected, file) = model.create(name, exclusive: exclusive, truncating: truncating)
            var made: OpenHandle?
            let actual = outcome { () throws(Errno) in
                let flags = O_WRONLY | O_CREAT | (exclusive ? O_EXCL : 0) | (truncating ? O_TRUNC : 0)
                let created = try harness.call { request throws(Errno) in
                    try name.text.withEntryName { entry throws(Errno) in
                        try volume.create(
                            request, parent: harness.parent(name.place), name: entry, mode: 0o644,
                            flags: OpenFlags(rawValue: flags))
                    }
                }
                if let file { made = OpenHandle(file: file, inode: created.entry.inode, handle: created.opened.handle) }
            }
            if let made { open.append(made) }
            return (expected, actual)
        case .openToWrite(let name, let truncating):
            guard let file = model.files[name] else { return (nil, nil) }
            let expected = model.openToWrite(file, truncating: truncating)
            var made: OpenHandle?
            let actual = outcome { () throws(Errno) in
                let inode = try harness.lookup(name.text, in: harness.parent(name.place))
                let opened = try harness.call { request throws(Errno) in
                    try volume.open(
                        request, inode: inode, flags: OpenFlags(rawValue: O_WRONLY | (truncating ? O_TRUNC : 0)))
                }
                made = OpenHandle(file: file, inode: inode, handle: opened.handle)
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
            let expected = model.close(handle.file)
            let actual = outcome { () throws(Errno) in
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
                    try name.text.withEntryName { entry throws(Errno) in
                        try volume.unlink(request, parent: harness.parent(name.place), name: entry)
                    }
                }
            }
            return (expected, actual)
        case .truncate(let name, let size):
            let expected = model.truncate(name, size: size)
            let actual = outcome { () throws(Errno) in
                let inode = try harness.lookup(name.text, in: harness.parent(name.place))
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
                    try from.text.withEntryName { old throws(Errno) in
                        try to.text.withEntryName { new throws(Errno) in
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
    private func compare(_ model: Model, _ harness: Harness) -> String? {
        for place in Model.Place.allCases {
            let expected = model.files.keys.filter { $0.place == place }.map(\.text).sorted()
            guard let actual = try? harness.list(harness.parent(place)) else { return "\(place) cannot be listed" }
            if expected != actual { return "\(place) lists \(actual), expected \(expected)" }
        }
        for (name, file) in model.files {
            do throws(Errno) {
                let inode = try harness.lookup(name.text, in: harness.parent(name.place))
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
