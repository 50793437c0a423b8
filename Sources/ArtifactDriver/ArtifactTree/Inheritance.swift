internal import Artifacts
internal import SystemCalls
internal import SystemPackage

/// What a new plain file gets from the directory that it is made in.
enum Inheritance {
    /// The default access list's permissions, or the mode without the umask (umask(2)).
    static func of(
        _ directory: FileDescriptor, mode: UInt32, umask: UInt32
    ) throws(Errno) -> (mode: UInt32, list: AccessList?) {
        let value: [UInt8]
        do throws(Errno) {
            // The store's directories are open to be read: no path is needed. Most have none, and nothing is made to find that out.
            value = try SystemCall.extendedAttribute(AccessList.defaultAttribute, of: directory)
        } catch .noData, .notSupported {
            return (mode & ~umask & 0o7777, nil)
        }
        guard let list = AccessList(attribute: value) else { throw Errno.ioError }
        let inherited = list.inherited(mode: mode)
        return (mode & 0o7000 | inherited.mode, inherited.list)
    }
}
