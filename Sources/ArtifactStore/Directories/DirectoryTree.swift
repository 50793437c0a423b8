internal import Glibc
internal import SystemCalls
package import SystemPackage

/// A directory with all that is in it, whatever that is: links, fifos and names of any bytes too. No link in it is followed.
package enum DirectoryTree {
    /// What could not be done with something in a directory.
    package struct TreeFault: Error {
        /// From the directory; empty for itself.
        package let path: String
        package let errno: Errno
    }

    /// What is in a directory.
    package struct Extent: Sendable, Equatable {
        /// Plain files.
        package var files: Int64 = 0
        /// Their sizes added up, in bytes.
        package var bytes: Int64 = 0
        /// Whether all was counted.
        package var isWhole = true

        mutating func add(_ file: stat) {
            files &+= 1
            bytes = bytes.addingReportingOverflow(Int64(file.st_size)).partialValue
        }
    }

    /// A name in a directory, and the `S_IFMT` bits of what has it.
    struct TreeName {
        let bytes: [CChar]
        let kind: UInt32
        var text: String { String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) }
    }

    /// The names in a directory, `.` and `..` aside, in no order.
    static func names(in directory: FileDescriptor) throws(Errno) -> [TreeName] {
        var names: [TreeName] = []
        try SystemCall.forEachName(in: directory) { name, _, type throws(Errno) in
            guard strcmp(name, ".") != 0, strcmp(name, "..") != 0 else { return }
            let bytes = Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1))
            // The file system may not say.
            let kind = type != 0 ? type : try SystemCall.attributes(directory, name).st_mode & S_IFMT
            names.append(TreeName(bytes: bytes, kind: kind))
        }
        return names
    }

    static func open(_ name: [CChar], in directory: FileDescriptor) throws(Errno) -> FileDescriptor {
        try SystemCall.open(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    /// How much is in a directory. What lies deeper than an artifact may be (``DirectoryWalk/deepest``) is not counted.
    ///
    /// - Parameter most: how many names are looked at.
    package static func extent(of directory: FileDescriptor, most: Int = .max) throws(Errno) -> Extent {
        var extent = Extent()
        var left = most
        try add(directory, depth: 0, to: &extent, &left)
        return extent
    }

    private static func add(
        _ directory: FileDescriptor, depth: Int, to extent: inout Extent, _ left: inout Int
    ) throws(Errno) {
        guard depth < DirectoryWalk.deepest else { return extent.isWhole = false }
        for name in try names(in: directory) {
            guard left > 0 else { return extent.isWhole = false }
            left -= 1
            switch name.kind {
            case S_IFREG: extent.add(try SystemCall.attributes(directory, name.bytes))
            case S_IFDIR:
                let inner = try open(name.bytes, in: directory)
                defer { SystemCall.close(inner) }
                try add(inner, depth: depth + 1, to: &extent, &left)
            default: break
            }
        }
    }

    // MARK: - Removing

    /// How many directories in each other are open at once while they are removed.
    private static let reach = 64

    /// Removes a directory with all that is in it, however deep that is and whatever its permissions say to its owner.
    package static func remove(_ directory: RealFile) throws(Errno) {
        let name = Array(directory.name.utf8CString)
        let parent = directory.directory.descriptor
        let top = try openToRemove(name, in: parent)
        defer { SystemCall.close(top) }
        var raised: UInt64 = 0
        // What lies deeper than this reaches is raised to the top, and is what the next round begins with.
        while true {
            let before = raised
            try empty(top, top, depth: 0, &raised)
            if raised == before { break }
        }
        try SystemCall.unlink(parent, name, isDirectory: true)
    }

    private static func empty(
        _ directory: FileDescriptor, _ top: FileDescriptor, depth: Int, _ raised: inout UInt64
    ) throws(Errno) {
        for name in try names(in: directory) {
            do throws(Errno) {
                guard name.kind == S_IFDIR else {
                    try SystemCall.unlink(directory, name.bytes)
                    continue
                }
                let inner = try openToRemove(name.bytes, in: directory)
                defer { SystemCall.close(inner) }
                guard depth < reach else {
                    try raise(name.bytes, in: directory, to: top, &raised)
                    continue
                }
                try empty(inner, top, depth: depth + 1, &raised)
                try SystemCall.unlink(directory, name.bytes, isDirectory: true)
            } catch .noSuchFileOrDirectory {
                // Gone: that is what was wanted.
            }
        }
    }

    private static func raise(
        _ name: [CChar], in directory: FileDescriptor, to top: FileDescriptor, _ raised: inout UInt64
    ) throws(Errno) {
        while true {
            raised &+= 1
            do throws(Errno) {
                return try SystemCall.rename(directory, name, top, "raised-\(raised)", SystemCall.noReplace)
            } catch .fileExists {}
        }
    }

    /// Who owns a directory without the rights to it takes them first.
    ///
    /// - Throws: `EBUSY` for another file system that is mounted there: what is in it is not removed.
    private static func openToRemove(_ name: [CChar], in parent: FileDescriptor) throws(Errno) -> FileDescriptor {
        let found = try SystemCall.attributes(parent, name)
        guard found.st_dev == (try SystemCall.attributes(parent).st_dev) else { throw .resourceBusy }
        if found.permissions & 0o700 != 0o700 { try? SystemCall.setMode(parent, name, 0o700) }
        return try open(name, in: parent)
    }

    // MARK: - Copying

    /// Copies a directory with all that is in it: bytes, modes without set-id bits, times; links as they are. Nothing is replaced, and it belongs to
    /// who copies.
    ///
    /// - Parameters:
    ///   - source: open to read.
    ///   - parent: where the copy is made.
    ///   - name: its name there.
    /// - Returns: what has no copy, by paths in the directory: sockets and devices.
    /// - Throws: what failed; what was copied by then is there.
    package static func copy(
        _ source: FileDescriptor, to name: String, in parent: FileDescriptor
    ) throws(TreeFault) -> [String] {
        var leftOut: [String] = []
        try copy(source, Array(name.utf8CString), in: parent, path: "", depth: 0, &leftOut)
        return leftOut
    }

    private static func copy(
        _ source: FileDescriptor, _ name: [CChar], in parent: FileDescriptor, path: String, depth: Int,
        _ leftOut: inout [String]
    ) throws(TreeFault) {
        func attempt<Value>(_ place: String, _ body: () throws(Errno) -> Value) throws(TreeFault) -> Value {
            do throws(Errno) { return try body() } catch { throw TreeFault(path: place, errno: error) }
        }
        guard depth < DirectoryWalk.deepest else { throw TreeFault(path: path, errno: .fileNameTooLong) }
        let (attributes, target) = try attempt(path) { () throws(Errno) in
            let attributes = try SystemCall.attributes(source)
            try SystemCall.makeDirectory(parent, name, 0o700)
            return (attributes, try open(name, in: parent))
        }
        defer { SystemCall.close(target) }
        for name in try attempt(path, { () throws(Errno) in try names(in: source) }) {
            let inside = path.isEmpty ? name.text : path + "/" + name.text
            if name.kind == S_IFDIR {
                let inner = try attempt(inside) { () throws(Errno) in try open(name.bytes, in: source) }
                defer { SystemCall.close(inner) }
                try copy(inner, name.bytes, in: target, path: inside, depth: depth + 1, &leftOut)
            } else if !(try attempt(inside, { () throws(Errno) in try copy(name, from: source, to: target) })) {
                leftOut.append(inside)
            }
        }
        try attempt(path) { () throws(Errno) in
            try SystemCall.setMode(target, attributes.permissions & 0o777)
            try SystemCall.setTimes(target, access: attributes.st_atim, modification: attributes.st_mtim)
            try SystemCall.sync(target)
        }
    }

    /// - Returns: false for what cannot be copied.
    private static func copy(
        _ name: TreeName, from source: FileDescriptor, to target: FileDescriptor
    ) throws(Errno) -> Bool {
        switch name.kind {
        case S_IFREG: try copyFile(name.bytes, from: source, to: target)
        case S_IFLNK:
            let link = try SystemCall.openPath(name.bytes, in: source)
            defer { SystemCall.close(link) }
            let text = try SystemCall.linkTarget(link).map { CChar(bitPattern: $0) } + [0]
            try SystemCall.makeSymbolicLink(target, name.bytes, to: text)
            try setTimes(of: name.bytes, in: target, as: SystemCall.attributes(link))
        case S_IFIFO:
            let attributes = try SystemCall.attributes(source, name.bytes)
            try SystemCall.makeNode(target, name.bytes, S_IFIFO | 0o600, device: 0)
            try SystemCall.setMode(target, name.bytes, attributes.permissions & 0o777)
            try setTimes(of: name.bytes, in: target, as: attributes)
        default: return false
        }
        return true
    }

    private static func copyFile(
        _ name: [CChar], from source: FileDescriptor, to target: FileDescriptor
    ) throws(Errno) {
        let original = try SystemCall.open(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(original) }
        let attributes = try SystemCall.attributes(original)
        let copy = try SystemCall.open(target, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        defer { SystemCall.close(copy) }
        try FileCopy.copyBytes(original, to: copy)
        guard try SystemCall.attributes(copy).st_size == attributes.st_size else { throw .ioError }
        try SystemCall.setMode(copy, attributes.permissions & 0o777)
        try SystemCall.setTimes(copy, access: attributes.st_atim, modification: attributes.st_mtim)
        try SystemCall.sync(copy)
    }

    private static func setTimes(
        of name: [CChar], in directory: FileDescriptor, as attributes: stat
    ) throws(Errno) {
        try SystemCall.setTimes(directory, name, access: attributes.st_atim, modification: attributes.st_mtim)
    }
}
