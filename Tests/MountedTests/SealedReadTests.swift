import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

/// A sealed file that is read again and again: the kernel keeps a small one's pages, the driver opens nothing, and nobody sees a
/// difference.
extension MountedTests {
    @Suite struct SealedReadTests {
        private static let row = "chr1\t12345\t0.25\n"

        @Test(arguments: MountVariant.both, [1, 20_000]) func everyWayToRead(
            _ variant: MountVariant, _ rows: Int
        ) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let all = "chrom\tposition\tscore\n" + String(repeating: Self.row, count: rows)
            let count = all.utf8.count
            try write(all, to: path)
            #expect(eventually { mount.state(of: path) == "sealed" })
            // The first time, and once more meanwhile.
            let (one, two) = (try openFile(path, O_RDONLY), try openFile(path, O_RDONLY))
            for file in [one, two, one] { #expect(try text(of: file, count) == all) }
            try closeFile(one)
            #expect(try text(of: two, count) == all)
            try closeFile(two)
            for round in 0..<3 {
                let file = try openFile(path, O_RDONLY)
                defer { try? closeFile(file) }
                #expect(try text(of: file, count) == all, "round \(round)")
                #expect(try contents(path) == all)
                var byte = UInt8(0)
                #expect(pread(file, &byte, 1, off_t(count - 2)) == 1 && byte == UInt8(ascii: "5"))
                #expect(pread(file, &byte, 1, off_t(count)) == 0, "the end")
                #expect(lseek(file, 0, SEEK_END) == count)
                // SEEK_DATA and SEEK_HOLE (lseek(2)), which Glibc does not show.
                #expect(lseek(file, 0, 3) == 0 && lseek(file, 0, 4) == count)
                let mapped = mmap(nil, count, PROT_READ, MAP_SHARED, file, 0)
                #expect(mapped != MAP_FAILED)
                if let mapped, mapped != MAP_FAILED {
                    #expect(String(decoding: UnsafeRawBufferPointer(start: mapped, count: count), as: UTF8.self) == all)
                    munmap(mapped, count)
                }
                let copy = mount.session("scratch/copy\(round)")
                let target = try openFile(copy, O_WRONLY | O_CREAT)
                var (from, to) = (off_t(0), off_t(0))
                #expect(clinux_copy_file_range(file, &from, target, &to, count, 0) == count)
                try closeFile(target)
                #expect(try contents(copy) == all)
                #expect(fsync(file) == 0)
                if rows == 1, round > 0 {
                    let open = try run(["ls", "-l", "/proc/\(mount.driver.process)/fd"]).output
                    #expect(!open.contains("analysis_sequences_chr1.tsv"), "the driver has it open: \(open)")
                }
                #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY | O_TRUNC) } == .fileExists)
            }
        }

        /// Only somebody who goes around the mount can change a sealed file; what the kernel kept of it does not outlive what it was
        /// told of its attributes (10 s).
        @Test func aChangeFromOutsideIsSeen() throws {
            let mount = try Mount()
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            try write(table, to: path)
            #expect(eventually { mount.state(of: path) == "sealed" })
            for _ in 0..<3 { #expect(try contents(path) == table) }
            try check(chmod(real, 0o644))
            try write("a\tb\n9\t9\n", to: real)
            #expect(eventually(within: 15) { (try? contents(path)) == "a\tb\n9\t9\n" }, "of the same size")
            try remove(real)
            let open = try openFile(path, O_RDONLY)
            #expect(try text(of: open, 8) == "a\tb\n9\t9\n", "what it has, it has")
            try closeFile(open)
            #expect(eventually(within: 15) { !exists(path) })
        }

        private func text(of file: Int32, _ count: Int) throws(Errno) -> String {
            var bytes = [UInt8](repeating: 0, count: count + 1)
            var done = 0
            while done < bytes.count {
                let read = bytes.withUnsafeMutableBytes { buffer in
                    pread(file, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(done))
                }
                if read < 0 { throw Errno(rawValue: errno) }
                if read == 0 { break }
                done += read
            }
            return String(decoding: bytes[..<done], as: UTF8.self)
        }
    }
}
