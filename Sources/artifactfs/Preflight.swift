import Glibc

/// What can be known to go wrong before anything is mounted.
enum Preflight {
    /// Checks a request; its paths come back with links resolved.
    static func check(_ request: MountRequest, allowsNonempty: Bool) throws -> MountRequest {
        var request = request
        guard let store = Paths.resolved(request.store) else {
            throw Failure(
                .notAStore, "there is no store at \(request.store); make one with 'artifactfs init \(request.store)'")
        }
        request.store = store
        request.mountPoint = try mountPoint(request.mountPoint, allowsNonempty: allowsNonempty)
        let (store_, mount) = (store + "/", request.mountPoint + "/")
        guard !mount.hasPrefix(store_), !store_.hasPrefix(mount) else {
            throw Failure(
                .mountPoint,
                "the mount point \(request.mountPoint) and the store \(store) lie inside each other; mount somewhere else"
            )
        }
        try fuse(request)
        return request
    }

    private static func mountPoint(_ path: String, allowsNonempty: Bool) throws -> String {
        if MountEntry.isDead(path) {
            throw Failure(
                .mountPoint,
                "\(path) is a dead mount: its driver is gone; clean it up with 'artifactfs unmount \(path)'")
        }
        var info = stat()
        guard stat(path, &info) == 0 else {
            switch errno {
            case ENOENT:
                throw Failure(.mountPoint, "the mount point \(path) does not exist; make it with 'mkdir -p \(path)'")
            default:
                throw Failure(
                    .mountPoint, "the mount point \(path) cannot be used: \(String(cString: strerror(errno)))")
            }
        }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(.mountPoint, "the mount point \(path) is not a directory; name an empty directory")
        }
        let resolved = Paths.resolved(path) ?? path
        if let mount = MountEntry.at(resolved), !allowsNonempty {
            throw Failure(
                .mountPoint,
                "\(resolved) is a mount point already (\(mount.type) of \(mount.source)); "
                    + "unmount it with 'artifactfs unmount \(resolved)', or name another directory")
        }
        guard access(resolved, R_OK | X_OK) == 0 else {
            throw Failure(
                .mountPoint, "the mount point \(resolved) cannot be read: \(String(cString: strerror(errno)))")
        }
        if !allowsNonempty, !Paths.names(resolved).isEmpty {
            throw Failure(
                .mountPoint,
                "the mount point \(resolved) is not empty, and a mount would hide what is in it; "
                    + "name an empty directory, or insist with '-o nonempty'")
        }
        return resolved
    }

    private static func fuse(_ request: MountRequest) throws {
        let device = open("/dev/fuse", O_RDWR | O_CLOEXEC)
        guard device >= 0 else {
            let code = errno
            let wayOut =
                code == EACCES
                ? "users may open it where root has said 'chmod 666 /dev/fuse', as udev does"
                : "load it with 'modprobe fuse', "
                    + "or start the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
            throw Failure(.noFUSE, "cannot open /dev/fuse: \(String(cString: strerror(code))); \(wayOut)")
        }
        close(device)
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
            access($0 + "/" + program, X_OK) == 0
        }
    }
}
