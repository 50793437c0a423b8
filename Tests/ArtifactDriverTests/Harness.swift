import Artifacts
import FuseKernel
import Glibc
import Provenance
import SystemPackage
import TestSupport

@testable import ArtifactDriver
@testable import ArtifactStore

/// A volume over a real store in a temporary directory, driven by calls instead of a kernel.
final class Harness: Sendable {
    let directory: TemporaryDirectory
    let store: Store
    let volume: Volume
    private let parents: [Model.Place: InodeNumber]
    let caller = Caller(user: geteuid(), group: getegid(), process: getpid(), umask: 0o022)

    /// - Parameters:
    ///   - publishing: `exit` would wait for the end of the process that tests are.
    ///   - settleSeconds: for how long it waits.
    ///   - hosts: how many change the store.
    ///   - cacheTime: for how many seconds what they changed may be shown as it was.
    init(
        in parent: String? = nil, publishing: PublishingRule = .close, settleSeconds: Int = 2,
        processes: any ProcessObserver = LinuxProcesses(), hosts: StoreHosts = .auto, cacheTime: Int = 5
    ) throws {
        directory = try TemporaryDirectory(in: parent)
        let path = directory.path + "/store"
        try Store.create(at: path)
        let schema = path + "/.artifactfs/schema.yaml"
        try write(
            try contents(schema).replacing("publish: exit", with: "publish: \(publishing.rawValue)")
                .replacing("settle_seconds: 2", with: "settle_seconds: \(settleSeconds)")
                .replacing("hosts: auto", with: "hosts: \(hosts.rawValue)")
                .replacing("cache: 5", with: "cache: \(cacheTime)"), to: schema)
        store = try Store(at: path, readOnly: false, durability: .relaxed)
        volume = try Volume(
            store: store, options: VolumeOptions(mountPoint: "/nowhere", version: "test"), processes: processes)
        let (volume, caller) = (volume, caller)
        func walk(_ path: [String]) throws(Errno) -> InodeNumber { try Self.walk(path, in: volume, for: caller) }
        let test = try walk(["test"])
        try "model".withEntryName { name throws(Errno) in
            _ = try volume.makeDirectory(Request(caller: caller), parent: test, name: name, mode: 0o755)
        }
        let session = volume.currentSession?.description ?? ""
        parents = [
            .production: try walk(["production", "base", "analysis_sequences"]),
            .otherProduction: try walk(["production", "base", "splice_errors"]),
            .session: try walk(["development", session, "base", "analysis_sequences"]),
            .test: try walk(["test", "model", "base", "analysis_sequences"]),
        ]
    }

    deinit { volume.stop() }

    func parent(_ place: Model.Place) -> InodeNumber { parents[place] ?? .root }

    func call<Result>(_ body: (borrowing Request) throws(Errno) -> Result) throws(Errno) -> Result {
        try body(Request(caller: caller))
    }

    func lookup(_ name: String, in parent: InodeNumber) throws(Errno) -> InodeNumber {
        try name.withEntryName { name throws(Errno) in
            try volume.lookup(Request(caller: caller), parent: parent, name: name).inode
        }
    }

    func walk(_ path: [String]) throws(Errno) -> InodeNumber { try Self.walk(path, in: volume, for: caller) }

    private static func walk(_ path: [String], in volume: Volume, for caller: Caller) throws(Errno) -> InodeNumber {
        var inode = InodeNumber.root
        for name in path {
            inode = try name.withEntryName { name throws(Errno) in
                try volume.lookup(Request(caller: caller), parent: inode, name: name).inode
            }
        }
        return inode
    }

    /// A second mount of the same store, only to read; whoever makes it stops it.
    func readOnlyVolume() throws -> Volume {
        try Volume(
            store: try Store(at: store.path, readOnly: true, durability: .relaxed),
            options: VolumeOptions(mountPoint: "/nowhere", version: "test"))
    }

    /// A request of which only matters that it is answered, with whatever.
    func ask<Result>(_ body: (borrowing Request) throws -> Result) { _ = try? body(Request(caller: caller)) }

    /// Everything that is queued is published or in quarantine.
    func settle() { volume.seals.drain() }

    /// A file's bytes, as a reader of the mount gets them.
    func bytes(_ inode: InodeNumber) throws(Errno) -> [UInt8] {
        let opened = try call { request throws(Errno) in
            try volume.open(request, inode: inode, flags: OpenFlags(rawValue: O_RDONLY))
        }
        defer { volume.release(inode: inode, handle: opened.handle) }
        let source = try call { request throws(Errno) in
            try volume.read(request, inode: inode, handle: opened.handle, offset: 0, size: 1 << 20)
        }
        switch source {
        case .bytes(let bytes): return bytes
        case .file(let descriptor), .openedFile(let descriptor):
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            let count = pread(descriptor.rawValue, &buffer, buffer.count, 0)
            if count < 0 { throw Errno(rawValue: errno) }
            return Array(buffer[..<count])
        }
    }

    /// The names that a listing shows, `.` and `..` aside.
    func list(_ parent: InodeNumber) throws(Errno) -> [String] {
        guard case .tree(let directory) = try volume.inode(parent) else { throw Errno.notDirectory }
        return try volume.listing(of: directory, withDots: false).compactMap(\.name).sorted()
    }
}

extension String {
    func withEntryName<Result>(_ body: (EntryName) throws(Errno) -> Result) throws(Errno) -> Result {
        let outcome = withCString { pointer in
            Swift.Result<Result, Errno> { () throws(Errno) in try body(EntryName(pointer)) }
        }
        return try outcome.get()
    }
}
