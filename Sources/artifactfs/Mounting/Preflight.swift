import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What can be known to go wrong before anything is mounted.
enum Preflight {
    /// Checks a request; its paths come back with links resolved.
    static func check(_ request: MountRequest, allowsNonempty: Bool) throws -> MountRequest {
        var request = request
        guard let store = try Paths.resolved(request.store) else {
            if request.isRoot {
                throw Failure(.notAStore, "there is no directory \(request.store) with stores below it")
            }
            throw Failure(
                .notAStore, "there is no store at \(request.store); make one with 'artifactfs init \(request.store)'")
        }
        if request.isRoot { try checkRoot(store) }
        request.store = store
        request.mountPoint = try mountPoint(request, allowsNonempty: allowsNonempty)
        for (what, path) in [("store", store), ("mount point", request.mountPoint)] {
            guard let mount = MountEntry.holding(path), mount.isArtifacts else { continue }
            // With `-o nonempty` a mount may cover another: what counts is where the mount point itself is.
            if path == mount.mountPoint, what == "mount point" { continue }
            throw Failure(
                .mountPoint,
                "the \(what) \(path) lies on the mount of a store (\(mount.source) at \(mount.mountPoint)); "
                    + "\(what == "store" ? "mount a store by its real path" : "mount somewhere else")")
        }
        let mountPoint = request.mountPoint
        if try answered(mountPoint, { lieInsideEachOther(store, mountPoint) ? ELOOP : 0 }) != 0 {
            throw Failure(
                .mountPoint,
                "the mount point \(mountPoint) and the store \(store) lie inside each other; mount somewhere else")
        }
        try fuse(request)
        request.observed = try request.observed.map { try observed($0) }
        return request
    }

    /// A directory that stores may lie below.
    static func checkRoot(_ path: String) throws {
        let code = try answered(path) {
            Patience.number { () throws(Errno) in
                guard try SystemCall.attributes(atPath: path).isDirectory else { throw Errno.notDirectory }
                try SystemCall.checkAccess(atPath: path, R_OK | X_OK)
                let own = try? SystemCall.attributes(atPath: path + "/" + StoreLayout.privateDirectory)
                if own?.isDirectory == true { throw Errno.fileExists }
            }
        }
        switch code {
        case 0: return
        case EEXIST:
            throw Failure(
                .notAStore,
                "\(path) is a store itself, and --root means the stores below a directory: leave --root out, or name the directory "
                    + "above it")
        default:
            throw Failure(
                .notAStore, "\(path) cannot be looked through for stores: \(String(cString: strerror(code)))")
        }
    }

    /// The directories to be observed, with links resolved, when they can be.
    private static func observed(_ directories: [String]) throws -> [String] {
        guard geteuid() == 0 else {
            throw Failure(
                .cannotAnswer,
                "only root sees what is read outside of the store: leave -o observe out, or have root mount the store with it and "
                    + "--allow-other; without it records say that inputs outside of the store were not looked at")
        }
        do throws(Errno) {
            SystemCall.close(try SystemCall.openFileEvents(byHandles: true))
        } catch {
            throw Failure(
                .cannotAnswer,
                "cannot observe what is read outside of the store: fanotify: \(error); it needs Linux 5.15 and CAP_SYS_ADMIN, "
                    + "which a container gets with '--cap-add SYS_ADMIN'. Leave -o observe out to mount without it")
        }
        return try directories.map { directory in
            guard let path = try Paths.resolved(directory),
                (try? SystemCall.attributes(atPath: path))?.isDirectory == true
            else { throw Failure(.cannotAnswer, "-o observe: there is no directory \(directory)") }
            return path
        }
    }

    /// The mount point with links resolved. A dead mount of the same store is taken away: mounting again is the way to go on.
    private static func mountPoint(_ request: MountRequest, allowsNonempty: Bool) throws -> String {
        let path = try Paths.resolvedDirectory(of: request.mountPoint)
        if let mount = MountEntry.at(path), mount.isArtifacts {
            switch mount.health {
            case .alive: break
            case .dead: try replace(mount, request)
            case .silent: throw mount.silence
            }
        }
        let code = try answered(path) {
            Patience.number { () throws(Errno) in
                guard try SystemCall.attributes(atPath: path).isDirectory else { throw Errno.notDirectory }
            }
        }
        switch code {
        case 0: break
        case ENOENT:
            throw Failure(.mountPoint, "the mount point \(path) does not exist; make it with 'mkdir -p \(path)'")
        case ENOTCONN:
            throw Failure(
                .mountPoint,
                "\(path) leads to a dead mount: its driver is gone; "
                    + "clean it up with 'artifactfs unmount' and its own path")
        case ENOTDIR:
            throw Failure(.mountPoint, "the mount point \(path) is not a directory; name an empty directory")
        default:
            throw Failure(.mountPoint, "the mount point \(path) cannot be used: \(String(cString: strerror(code)))")
        }
        let resolved = try Paths.resolved(path) ?? path
        if let mount = MountEntry.at(resolved), !allowsNonempty {
            throw Failure(
                .mountPoint,
                "\(resolved) is a mount point already (\(mount.type) of \(mount.source)); "
                    + "unmount it with '\(mount.isArtifacts ? "artifactfs unmount" : "umount") \(resolved)', "
                    + "or name another directory")
        }
        let readable = try answered(resolved) {
            Patience.number { () throws(Errno) in try SystemCall.checkAccess(atPath: resolved, R_OK | X_OK) }
        }
        guard readable == 0 else {
            throw Failure(
                .mountPoint, "the mount point \(resolved) cannot be read: \(String(cString: strerror(readable)))")
        }
        if !allowsNonempty, try answered(resolved, { Paths.names(resolved).isEmpty ? 0 : ENOTEMPTY }) != 0 {
            throw Failure(
                .mountPoint,
                "the mount point \(resolved) is not empty, and a mount would hide what is in it; "
                    + "name an empty directory, or insist with '-o nonempty'")
        }
        return resolved
    }

    /// Whether one is the other or in it, by inodes: a bind mount gives a directory another path.
    private static func lieInsideEachOther(_ store: String, _ mountPoint: String) -> Bool {
        func id(_ path: String) -> [UInt64]? {
            (try? SystemCall.attributes(atPath: path)).map { [UInt64($0.st_dev), UInt64($0.st_ino)] }
        }
        func withParents(_ path: String) -> Set<[UInt64]> {
            var found: Set<[UInt64]> = []
            var path = path
            while !path.isEmpty {
                if let id = id(path) { found.insert(id) }
                path = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) } ?? ""
            }
            return found
        }
        let own = ["", "/base_layer", "/meta_layer", "/.artifactfs"].compactMap { id(store + $0) }
        if !withParents(mountPoint).isDisjoint(with: own) { return true }
        return id(mountPoint).map { withParents(store).contains($0) } ?? false
    }

    /// An errno that is found out in bounded time.
    private static func answered(_ path: String, _ question: () -> Int32) throws -> Int32 {
        guard let answer = Patience.find({ [UInt8(truncatingIfNeeded: question())] })?.first else {
            throw MountEntry.silence(on: path)
        }
        return Int32(answer)
    }

    private static func replace(_ mount: MountEntry, _ request: MountRequest) throws {
        let path = mount.mountPoint
        guard mount.source == request.store, mount.user == geteuid() || geteuid() == 0 else {
            throw Failure(
                .mountPoint,
                "\(path) is a dead mount of \(mount.source): its driver is gone; "
                    + "clean it up with 'artifactfs unmount \(path)'")
        }
        let isGone =
            geteuid() == 0
            ? Patience.code { () throws(Errno) in try SystemCall.unmount(path, detaching: true) } == 0
            : Program.run(["fusermount3", "-u", "-z", "--", path], within: Patience.usual) == 0
        guard isGone else {
            throw Failure(
                .mountPoint, "\(path) is a dead mount, and cannot be cleaned up; try 'artifactfs unmount \(path)'")
        }
    }

    private static func fuse(_ request: MountRequest) throws {
        do throws(Errno) {
            SystemCall.close(try SystemCall.open(SystemCall.currentDirectory, "/dev/fuse", O_RDWR))
        } catch {
            let wayOut =
                error == .permissionDenied
                ? "users may open it where root has said 'chmod 666 /dev/fuse', as udev does"
                : "load it with 'modprobe fuse', "
                    + "or start the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
            throw Failure(.noFUSE, "cannot open /dev/fuse: \(error); \(wayOut)")
        }
        guard geteuid() != 0 else { return }
        guard found("fusermount3") else {
            throw Failure(.noFUSE, "fusermount3 is missing, and only root mounts without it; install the package fuse3")
        }
        if request.allowsOthers || request.extra.contains("allow_root") {
            let lines = (Paths.contents("/etc/fuse.conf").map { String(decoding: $0, as: UTF8.self) } ?? "")
                .split(separator: "\n").map { $0.filter { $0 != " " && $0 != "\t" } }
            guard lines.contains("user_allow_other") else {
                throw Failure(
                    .mountPoint,
                    "other users on the mount need the line 'user_allow_other' in /etc/fuse.conf, which root can add; "
                        + "or mount as root, or without --allow-other and allow_root")
            }
        }
    }

    private static func found(_ program: String) -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return (path.split(separator: ":").map(String.init) + ["/usr/bin", "/bin", "/usr/local/bin"]).contains {
            (try? SystemCall.checkAccess(atPath: $0 + "/" + program, X_OK)) != nil
        }
    }
}
