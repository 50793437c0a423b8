import Glibc
import SystemPackage
import TestSupport
import Testing

/// One file through several handles: a handle that only writes may go around the page cache, and nobody can tell.
extension MountedTests {
    @Suite struct CoherenceTests {
        /// Writes of any size at any place by handles of all kinds; what every reader sees is what a model says.
        @Test(arguments: MountVariant.both, [1, 2, 3] as [UInt64]) func writersAndReaders(
            _ variant: MountVariant, _ seed: UInt64
        ) throws {
            let mount = try Mount(variant)
            var random = SplitMix64(seed: seed)
            for path in [mount.session("base/splice_errors/chr1.tsv"), mount.session("scratch/file")] {
                var model: [UInt8] = []
                let writing = try openFile(path, O_WRONLY | O_CREAT)
                let both = try openFile(path, O_RDWR)
                let appending = try openFile(path, O_WRONLY | O_APPEND)
                let reading = try openFile(path, O_RDONLY)
                let room = 300_000
                let mapped = try #require(mmap(nil, room, PROT_READ, MAP_SHARED, reading, 0))
                try #require(mapped != MAP_FAILED)
                defer { munmap(mapped, room) }
                for step in 0..<150 {
                    let count = [1, 7, 4096, 5000, 65_536][Int.random(in: 0..<5, using: &random)]
                    let fresh = [UInt8](repeating: UInt8.random(in: 1...255, using: &random), count: count)
                    let offset = Int.random(in: 0...min(model.count + 5000, room - count), using: &random)
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0 where model.count + count <= room:
                        #expect(write(appending, fresh, count) == count)
                        model += fresh
                    case 1:
                        let size = Int.random(in: 0...model.count, using: &random)
                        try check(ftruncate(both, off_t(size)))
                        model.removeLast(model.count - size)
                    case let kind:
                        #expect(pwrite(kind % 2 == 0 ? both : writing, fresh, count, off_t(offset)) == count)
                        if offset + count > model.count {
                            model += [UInt8](repeating: 0, count: offset + count - model.count)
                        }
                        model.replaceSubrange(offset..<offset + count, with: fresh)
                    }
                    var seen = [UInt8](repeating: 1, count: room)
                    for (name, handle) in [("reader", reading), ("both", both)] {
                        let got = pread(handle, &seen, room, 0)
                        #expect(
                            got == model.count && memcmp(seen, model, model.count) == 0,
                            "\(name), seed \(seed), step \(step), \(path)")
                    }
                    #expect(memcmp(mapped, model, model.count) == 0, "mapped, seed \(seed), step \(step), \(path)")
                    if step % 10 == 0 {
                        #expect(try bytes(path) == model)
                        var found = stat()
                        #expect(fstat(writing, &found) == 0 && Int(found.st_size) == model.count)
                    }
                }
                for handle in [writing, both, appending, reading] { try closeFile(handle) }
                #expect(try bytes(path) == model, "after the last close")
            }
        }
    }
}
