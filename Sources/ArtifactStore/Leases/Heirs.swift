internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Who settles what a dead mount left: `.lock-heir-<n>` in its staging directory is a link to the heir's `.lock-heir`, and the one with the greatest
/// number counts. One is made at once or not at all, and none is ever given away before all is settled.
enum Heirs {
    private static let start = name + "-"

    /// What says of a mount that it is an heir, in its own staging directory. Not its token, whose links are what it has reserved.
    static let name = Staging.lockName + "-heir"

    /// Makes that.
    static func prepare(_ description: MountDescription, in staging: Directory) throws(Errno) {
        let file = try staging.file(name).open(O_RDWR | O_CREAT, mode: 0o600)
        defer { SystemCall.close(file) }
        description.write(to: file)
        try SystemCall.sync(file)
    }

    /// Whether a file of a staging directory says who is an heir: nothing is reserved by it.
    static func isOne(_ name: String) -> Bool { name.hasPrefix(Self.name) }

    /// The heir that counts.
    private static func last(in staging: Directory) throws(Errno) -> (number: Int, file: RealFile)? {
        var last: (number: Int, file: RealFile)?
        for entry in try staging.entries() where entry.name.hasPrefix(start) {
            guard let number = Int(entry.name.dropFirst(start.count)), number > last?.number ?? 0 else { continue }
            last = (number, staging.file(entry.name))
        }
        return last
    }

    /// Whether there is any.
    static func isThere(in staging: Directory) throws(Errno) -> Bool { try last(in: staging) != nil }

    /// Makes a mount the heir.
    ///
    /// - Parameter isGone: whether the mount is dead, or has ended, that is the heir until now.
    /// - Returns: whether it is the heir.
    static func claim(
        _ staging: Directory, for owner: Leases.Tenant, isGone: (MountDescription) -> Bool
    ) throws(Errno) -> Bool {
        let token = try SystemCall.attributes(owner.staging.descriptor, self.name)
        var number = 1
        if let last = try last(in: staging) {
            let descriptor = try last.file.open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            if try SystemCall.attributes(descriptor).st_ino == token.st_ino { return true }
            // One that says nothing was never whole: nobody is that heir.
            guard last.number < .max, MountDescription(descriptor).map(isGone) ?? true else { return false }
            number = last.number + 1
        }
        let name = start + "\(number)"
        do throws(Errno) {
            try SystemCall.link(owner.staging.descriptor, self.name, staging.descriptor, name)
            return true
        } catch {
            // The reply may be lost of a call that was done.
            if let found = try? SystemCall.attributes(staging.descriptor, name) { return found.st_ino == token.st_ino }
            throw error
        }
    }

    /// Takes a claim back, of a mount that has returned.
    static func withdraw(_ staging: Directory, for owner: Leases.Tenant) throws(Errno) {
        let token = try SystemCall.attributes(owner.staging.descriptor, name)
        guard let last = try last(in: staging), try last.file.attributes().st_ino == token.st_ino else { return }
        try last.file.unlink()
    }
}
