internal import Artifacts
internal import ArtifactStore
internal import CLinux
public import FuseKernel
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Extended attributes that the driver gives.
enum ArtifactAttribute {
    static let prefix = "user.artifact."
    static let state = "user.artifact.state"
    /// What a writer may set, for the record.
    static let settable: Set<String> = ["user.artifact.config", "user.artifact.note", "user.artifact.experiment_id"]
    /// The longest value that Linux takes (`XATTR_SIZE_MAX`), in bytes.
    static let longestValue = 65_536
}

extension Volume {
    public func extendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) -> [UInt8] {
        switch try self.inode(inode) {
        case .free(let node):
            return try node.withDescriptor { descriptor throws(Errno) in
                try Linux.withPath(of: descriptor) { path throws(Errno) in
                    try Linux.attribute(name.pointer, ofPath: path)
                }
            }
        case .artifact(let file):
            if name.string == ArtifactAttribute.state {
                let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
                return Array(file.state.withLock { $0.fileState(standing: standing) }.rawValue.utf8)
            }
            // "Not supported" is also what setting it gives; ls(1) then asks for no other file's `security.selinux`.
            guard isKept(name) else { throw Errno.notSupported }
            return try withDescriptor(of: file) { descriptor throws(Errno) in
                try Linux.withPath(of: descriptor) { path throws(Errno) in
                    try Linux.attribute(name.pointer, ofPath: path)
                }
            }
        case .tree(let directory):
            // Access lists decide who may do what, so a directory shows those of the real one.
            guard name.string?.hasPrefix("system.posix_acl_") == true, let real = try directory.real.current() else {
                throw Errno.noData
            }
            return try Linux.withPath(of: real.descriptor) { path throws(Errno) in
                try Linux.attribute(name.pointer, ofPath: path)
            }
        case .made: throw Errno.noData
        }
    }

    /// Whether an artifact's real file may keep an attribute of this name.
    private func isKept(_ name: EntryName) -> Bool {
        guard let text = name.string else { return false }
        return text.hasPrefix("user.") || text.hasPrefix("system.posix_acl_")
    }

    public func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        switch try self.inode(inode) {
        case .free(let node):
            try node.withDescriptor { descriptor throws(Errno) in
                try Linux.withPath(of: descriptor) { path throws(Errno) in try Linux.attributeNames(ofPath: path) }
            }
        case .artifact(let file):
            try withDescriptor(of: file) { descriptor throws(Errno) -> [UInt8] in
                let all = try Linux.withPath(of: descriptor) { path throws(Errno) in
                    try Linux.attributeNames(ofPath: path)
                }
                // The driver's own are found when named: a copy must not carry them to another file.
                return all.split(separator: 0).filter { $0.starts(with: "user.".utf8) }.flatMap { $0 + [0] }
            }
        case .tree, .made: []
        }
    }

    public func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        try changeAttribute(inode, name, request.caller) { path throws(Errno) in
            _ = try Linux.call { clinux_setxattr(path, name.pointer, value.baseAddress, value.count, flags) }
        }
    }

    public func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) {
        try changeAttribute(inode, name, request.caller) { path throws(Errno) in
            _ = try Linux.call { clinux_removexattr(path, name.pointer) }
        }
    }

    private func changeAttribute(
        _ inode: InodeNumber, _ name: EntryName, _ caller: Caller,
        _ change: (UnsafePointer<CChar>) throws(Errno) -> Void
    ) throws(Errno) {
        let operation = Operation.setExtendedAttribute.rawValue
        switch try self.inode(inode) {
        case .free(let node):
            try enforceLive(node.scope, .setExtendedAttribute, "scratch", caller)
            try node.withDescriptor { descriptor throws(Errno) in try Linux.withPath(of: descriptor, change) }
        case .artifact(let file):
            let place = namespace.place(of: file.id)
            let path = place.map { $0.parent.path(of: $0.name) } ?? "(removed file)"
            let text = name.string ?? ""
            if text.hasPrefix(ArtifactAttribute.prefix), !ArtifactAttribute.settable.contains(text) {
                try enforce(.refused(Refusal(.notPermitted, .reservedAttribute)), operation, path, caller)
            }
            guard text.hasPrefix("user.") else {
                try enforce(.refused(Refusal(.notSupported, .foreignAttribute)), operation, path, caller)
                return
            }
            awaitRelease(of: file)
            let standing = self.standing(of: place?.parent.scope)
            try file.state.withLock { state throws(Errno) in
                let facts = Facts(isSettling: isSettling(state, caller))
                let fileState = state.fileState(standing: standing)
                try enforce(
                    OverwritePolicy.judge(.setExtendedAttribute, on: fileState, facts: facts), operation, path, caller)
                try withDescriptor(of: file, state) { descriptor throws(Errno) in
                    // Without root nobody may set attributes of a file without write bits, its owner neither (xattr(7)).
                    let mode = try Linux.attributes(descriptor).st_mode
                    let lifts = (fileState == .sealed || fileState == .sealing) && !actsForOthers && mode & S_IWUSR == 0
                    if lifts { fchmod(descriptor.rawValue, mode & 0o7777 | S_IWUSR) }
                    defer { if lifts { fchmod(descriptor.rawValue, mode & 0o7777) } }
                    try Linux.withPath(of: descriptor, change)
                }
            }
        case .tree, .made:
            try enforce(.refused(Refusal(.notSupported, .foreignAttribute)), operation, "", caller)
        }
    }

    /// Runs with an open descriptor of a file.
    private func withDescriptor<Result: Sendable>(
        of file: ArtifactFile, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try file.state.withLock { state throws(Errno) -> Result in
            try withDescriptor(of: file, state, body)
        }
    }
}
