internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What INIT agrees on.
///
/// libfuse 3.14 does not know passthrough, PARALLEL_DIROPS by default, or HANDLE_KILLPRIV_V2, so there the reply to INIT is
/// changed on its way (`fuse_session_custom_io`); the layouts are those of linux/fuse.h, `fuse_init_in` and `fuse_init_out`.
final class Negotiation: Sendable {
    private enum Flag {
        static let parallelDirOps: UInt32 = 1 << 18
        static let handleKillPrivV2: UInt32 = 1 << 28
        static let initExt: UInt32 = 1 << 30
        /// FUSE_PASSTHROUGH is bit 37: bit 5 of `flags2`.
        static let passthrough2: UInt32 = 1 << 5
    }

    let wantsPassthrough: Bool
    private let wantsACL: Bool
    /// The kernel's `max_stack_depth`.
    private let depth: UInt32
    /// The mount option `max_read`, in bytes; libfuse ends a session that was not told of it (lib/fuse_lowlevel.c, `do_init`).
    private let longestRead: UInt32?
    /// INIT's `unique`; 0 until it was seen and after it was answered.
    private let initUnique = Atomic<UInt64>(0)
    private let isAnswered = Atomic<Bool>(false)
    private let offered = Atomic<UInt32>(0)
    private let offered2 = Atomic<UInt32>(0)
    private let agreedPassthrough = Atomic<Bool>(false)

    init(_ options: MountOptions) {
        wantsPassthrough = options.passthrough
        wantsACL = options.posixACL
        longestRead =
            options.extra.compactMap { option in
                option.hasPrefix("max_read=") ? UInt32(option.dropFirst("max_read=".count)) : nil
            }.last
        depth = options.backingDirectory.map(Self.isStacked) == true ? 2 : 1
    }

    /// Whether files there count as stacked (`s_stack_depth`): those of overlayfs do, and of FUSE with passthrough. A depth that
    /// allows for them forbids to stack overlayfs on this mount, so it is not the default.
    private static func isStacked(_ directory: String) -> Bool {
        guard let descriptor = try? FileDescriptor.open(directory, .readOnly) else { return false }
        defer { try? descriptor.close() }
        // OVERLAYFS_SUPER_MAGIC and FUSE_SUPER_MAGIC (linux/magic.h)
        return [0x794c_7630, 0x6573_5546].contains(FileSystemKind.number(of: descriptor))
    }

    /// libfuse's INIT callback.
    func negotiate(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
        // HANDLE_KILLPRIV (version 1) would leave set-id bits to us at every write; version 2 tells when.
        // Splicing is off: bytes are copied. Which of the two is faster has not been measured here yet.
        cfuse_want(
            connection,
            UInt32(FUSE_CAP_PARALLEL_DIROPS) | UInt32(FUSE_CAP_ATOMIC_O_TRUNC) | UInt32(FUSE_CAP_ASYNC_DIO)
                | UInt32(FUSE_CAP_CACHE_SYMLINKS),
            UInt32(FUSE_CAP_HANDLE_KILLPRIV) | UInt32(FUSE_CAP_WRITEBACK_CACHE) | UInt32(FUSE_CAP_SPLICE_READ)
                | UInt32(FUSE_CAP_SPLICE_WRITE) | UInt32(FUSE_CAP_SPLICE_MOVE) | UInt32(FUSE_CAP_READDIRPLUS_AUTO))
        cfuse_want_kill_priv_v2(connection)
        if let longestRead { connection.pointee.max_read = longestRead }
        // A default ACL replaces the umask, so the kernel must not have applied it before (umask(2)).
        cfuse_want(connection, UInt32(FUSE_CAP_DONT_MASK) | (wantsACL ? UInt32(FUSE_CAP_POSIX_ACL) : 0), 0)
        if wantsPassthrough, cfuse_want_passthrough(connection, depth) != 0 {
            agreedPassthrough.store(true, ordering: .relaxed)
        }
    }

    /// Looks at what the kernel sends until INIT is seen.
    func received(_ bytes: UnsafeRawBufferPointer) {
        guard !isAnswered.load(ordering: .relaxed), bytes.count >= 60 else { return }
        // fuse_in_header: len 0, opcode 4, unique 8; 40 bytes. fuse_init_in: flags at 12, flags2 at 16.
        guard bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self) == 26 else { return }
        offered.store(bytes.loadUnaligned(fromByteOffset: 52, as: UInt32.self), ordering: .relaxed)
        offered2.store(bytes.loadUnaligned(fromByteOffset: 56, as: UInt32.self), ordering: .relaxed)
        initUnique.store(bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self), ordering: .releasing)
    }

    /// Changes the reply to INIT.
    func sending(_ vectors: UnsafeMutablePointer<iovec>, count: Int32) {
        let unique = initUnique.load(ordering: .acquiring)
        guard unique != 0, count >= 2, vectors[0].iov_len >= 16, let header = vectors[0].iov_base,
            header.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == unique
        else { return }
        isAnswered.store(true, ordering: .relaxed)
        initUnique.store(0, ordering: .relaxed)
        // fuse_init_out: flags 12, flags2 32, max_stack_depth 36; 64 bytes.
        guard vectors[1].iov_len >= 64, let body = vectors[1].iov_base else { return }
        let kernel = offered.load(ordering: .relaxed)
        var flags = body.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        flags |= kernel & (Flag.parallelDirOps | Flag.handleKillPrivV2)
        if wantsPassthrough, kernel & Flag.initExt != 0,
            offered2.load(ordering: .relaxed) & Flag.passthrough2 != 0
        {
            flags |= Flag.initExt
            let flags2 = body.loadUnaligned(fromByteOffset: 32, as: UInt32.self) | Flag.passthrough2
            body.storeBytes(of: flags2, toByteOffset: 32, as: UInt32.self)
            body.storeBytes(of: depth, toByteOffset: 36, as: UInt32.self)
            agreedPassthrough.store(true, ordering: .relaxed)
        }
        body.storeBytes(of: flags, toByteOffset: 12, as: UInt32.self)
    }

    /// Whether passthrough works, found by trying it: the kernel may have it and the driver not the privilege (CAP_SYS_ADMIN).
    func passthrough(on device: Int32) -> (works: Bool, obstacle: String?) {
        guard wantsPassthrough else { return (false, "switched off (--no-passthrough)") }
        guard agreedPassthrough.load(ordering: .relaxed) else {
            return (false, "this kernel does not offer it (Linux 6.9 and newer do)")
        }
        do {
            // A file in memory is a regular file on no other, wherever the driver's own files lie.
            let file = try SystemCall.makeMemoryFile(named: "passthrough-probe")
            defer { SystemCall.close(file) }
            let id = try KernelConnection.register(file, on: device)
            KernelConnection.unregister(id, on: device)
            return (true, nil)
        } catch Errno.notPermitted {
            return (false, "the driver lacks CAP_SYS_ADMIN (run it as root to have it)")
        } catch {
            return (false, "the kernel refused it: \(error)")
        }
    }

    /// The callbacks for `fuse_session_custom_io`.
    static func customIO() -> fuse_custom_io {
        var io = fuse_custom_io()
        io.read = { descriptor, buffer, size, userdata in
            let count = Glibc.read(descriptor, buffer, size)
            if count > 0, let userdata {
                Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef {
                    $0.negotiation.received(UnsafeRawBufferPointer(start: buffer, count: count))
                }
            }
            return count
        }
        io.writev = { descriptor, vectors, count, userdata in
            if let vectors, let userdata {
                Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef {
                    $0.negotiation.sending(vectors, count: count)
                }
            }
            return Glibc.writev(descriptor, vectors, count)
        }
        return io
    }
}
