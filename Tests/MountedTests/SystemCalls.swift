import CLinux
import Glibc
import SystemPackage

/// System calls that say their errno. Every descriptor is close-on-exec, so that no program started meanwhile keeps it.

func check(_ result: Int32) throws(Errno) { if result != 0 { throw Errno(rawValue: errno) } }

func openFile(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(Errno) -> Int32 {
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, mode)
    if descriptor < 0 { throw Errno(rawValue: errno) }
    return descriptor
}

/// Opens, writes nothing and closes.
func openAndClose(_ path: String, _ flags: Int32) throws(Errno) { try closeFile(try openFile(path, flags)) }

func closeFile(_ descriptor: Int32) throws(Errno) { try check(Glibc.close(descriptor)) }

func writeAll(_ descriptor: Int32, _ text: String, at offset: Int? = nil) throws(Errno) {
    let bytes = Array(text.utf8)
    let count =
        if let offset { pwrite(descriptor, bytes, bytes.count, off_t(offset)) } else {
            Glibc.write(descriptor, bytes, bytes.count)
        }
    if count != bytes.count { throw count < 0 ? Errno(rawValue: errno) : Errno.ioError }
}

/// What an operation answers: nothing when it succeeds.
func answer(_ body: () throws(Errno) -> Void) -> Errno? {
    do throws(Errno) {
        try body()
        return nil
    } catch { return error }
}

func move(_ from: String, _ to: String) throws(Errno) { try check(Glibc.rename(from, to)) }

func exchange(_ one: String, _ other: String) throws(Errno) {
    try check(clinux_renameat2(AT_FDCWD, one, AT_FDCWD, other, 2))
}

func remove(_ path: String) throws(Errno) { try check(Glibc.unlink(path)) }

func hardLink(_ from: String, _ to: String) throws(Errno) { try check(Glibc.link(from, to)) }

func setMode(_ path: String, _ mode: mode_t) throws(Errno) { try check(Glibc.chmod(path, mode)) }

func setTimes(_ path: String, _ seconds: Int) throws(Errno) {
    let times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
    try check(utimensat(AT_FDCWD, path, times, 0))
}

func setExtendedAttribute(_ name: String, _ value: String, of path: String) throws(Errno) {
    let bytes = Array(value.utf8)
    try check(clinux_setxattr(path, name, bytes, bytes.count, 0))
}

func removeExtendedAttribute(_ name: String, of path: String) throws(Errno) {
    try check(clinux_removexattr(path, name))
}

func extendedAttribute(_ name: String, of path: String) throws(Errno) -> String {
    // The longest value that there can be (xattr(7)): a record is as long as the command lines of the writer's ancestors.
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = clinux_getxattr(path, name, &buffer, buffer.count)
    if count < 0 { throw Errno(rawValue: errno) }
    return String(decoding: buffer[..<count], as: UTF8.self)
}

func attributes(_ path: String) throws(Errno) -> stat {
    var found = stat()
    try check(lstat(path, &found))
    return found
}

func linkTarget(_ path: String) throws(Errno) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    if count < 0 { throw Errno(rawValue: errno) }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
