import Glibc

/// systemd, when it started the driver and waits to hear of it (sd_notify(3), `Type=notify`).
enum ServiceManager {
    /// Says that the mount can be used; nothing without a service manager.
    static func ready() {
        guard let value = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(String(cString: value).utf8)
        // Programs that the driver starts have nothing to say.
        unsetenv("NOTIFY_SOCKET")
        // `@` stands for the NUL of an abstract name, which has no NUL at its end (unix(7)).
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.count > 1, path.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let message = Array("READY=1".utf8)
        let length = MemoryLayout.offset(of: \sockaddr_un.sun_path).map { socklen_t($0 + path.count) } ?? 0
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
