internal import Glibc
internal import SystemPackage

/// The machine as it runs since it was started.
package enum Machine {
    /// Names this run of the kernel (proc_sys_kernel(5), `random/boot_id`); empty when it cannot be told, which is no run's name.
    package static let boot: String = {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/sys/kernel/random/boot_id", O_RDONLY)
        else { return "" }
        defer { SystemCall.close(file) }
        let text = String(decoding: (try? SystemCall.bytes(file, at: 0, count: 64)) ?? [], as: UTF8.self)
        let name = text.prefix { $0 != "\n" }
        let isName = name.utf8.allSatisfy { byte in
            let letter = byte | 0x20
            return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || byte == UInt8(ascii: "-")
        }
        return isName ? String(name) : ""
    }()

    /// Names the namespace of this process's number (pid_namespaces(7)); empty when it cannot be told.
    package static let processes: String =
        (try? SystemCall.attributes(atPath: "/proc/self/ns/pid")).map {
            "\($0.st_dev):\($0.st_ino)"
        } ?? ""
}
