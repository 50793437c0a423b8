internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
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
                try attribute(name, of: descriptor, for: request.caller)
            }
        case .artifact(let file):
            if name.string == ArtifactAttribute.state {
                let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
                return Array(file.state.withLock { $0.fileState(standing: standing) }.rawValue.utf8)
            }
            // "Not supported" is also what setting it gives; ls(1) then asks for no other file's `security.selinux`.
            guard isKept(name) else { throw Errno.notSupported }
            return try withDescriptor(of: file) { descriptor throws(Errno) in
                try attribute(name, of: descriptor, for: request.caller)
            }
        case .tree(let directory):
            // Access lists decide who may do what, so a directory shows those of the real one, or of the one that it would be made in.
            guard name.string.map(Self.isAccessList) == true else { throw Errno.noData }
            let real = try directory.real.nearestExisting()
            return try withExtendedLifetime(real) { () throws(Errno) in
                try attribute(name, of: real.descriptor, for: request.caller)
            }
        case .made: throw Errno.noData
        }
    }

    private static func isAccessList(_ name: String) -> Bool {
        name == AccessList.accessAttribute || name == AccessList.defaultAttribute
    }

    /// An attribute of a real file. The kernel asks for access lists on its own account, to decide with them, and takes no other word for
    /// "none" than `ENODATA`.
    private func attribute(
        _ name: EntryName, of descriptor: FileDescriptor, for caller: Caller
    ) throws(Errno) -> [UInt8] {
        let isAccessList = name.string.map(Self.isAccessList) ?? false
        do throws(Errno) {
            return try rights.acting(for: caller) { () throws(Errno) in
                try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                    try SystemCall.extendedAttribute(name.pointer, ofPath: path)
                }
            }
        } catch .notSupported where isAccessList { throw Errno.noData }
    }

    /// Whether an artifact's real file may keep an attribute of this name.
    private func isKept(_ name: EntryName) -> Bool {
        guard let text = name.string else { return false }
        return text.hasPrefix("user.") || Self.isAccessList(text)
    }

    public func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        switch try self.inode(inode) {
        case .free(let node):
            try node.withDescriptor { descriptor throws(Errno) in
                try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                    try SystemCall.extendedAttributeNames(ofPath: path)
                }
            }
        case .artifact(let file):
            try withDescriptor(of: file) { descriptor throws(Errno) -> [UInt8] in
                let all = try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                    try SystemCall.extendedAttributeNames(ofPath: path)
                }
                // The driver's own are found when named: a copy must not carry them to another file.
                return all.split(separator: 0).filter { name in
                    name.starts(with: "user.".utf8) && !Store.ownAttributes.contains { name.elementsEqual($0.utf8) }
                }.flatMap { $0 + [0] }
            }
        case .tree, .made: []
        }
    }

    public func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        try changeAttribute(inode, name, request.caller) { file, how throws(Errno) in
            if case .ownWithoutWriting = how {
                return try SystemCall.setExtendedAttribute(name.pointer, value, ofOwn: file, flags: flags)
            }
            try SystemCall.withPath(of: file) { path throws(Errno) in
                guard case .sealed = how, name.string == AccessList.accessAttribute else {
                    return try SystemCall.setExtendedAttribute(name.pointer, value, ofPath: path, flags: flags)
                }
                guard let list = AccessList(attribute: Array(value)) else { throw Errno.invalidArgument }
                try SystemCall.setExtendedAttribute(name.pointer, list.withoutWriting.attribute, ofPath: path, flags: flags)
            }
        }
    }

    public func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) {
        try changeAttribute(inode, name, request.caller) { file, how throws(Errno) in
            if case .ownWithoutWriting = how {
                return try SystemCall.removeExtendedAttribute(name.pointer, ofOwn: file)
            }
            try SystemCall.withPath(of: file) { path throws(Errno) in
                try SystemCall.removeExtendedAttribute(name.pointer, ofPath: path)
            }
        }
    }

    /// As what an attribute is changed.
    private enum AttributeChange {
        /// As the caller.
        case asCaller
        /// By root's driver, of a sealed file: its writer may for a few seconds what the mode forbids even the owner.
        case sealed
        /// The same by an ordinary user's driver, which never gives the file back its write bits for that.
        case ownWithoutWriting
    }

    private func changeAttribute(
        _ inode: InodeNumber, _ name: EntryName, _ caller: Caller,
        _ change: (_ file: FileDescriptor, _ how: AttributeChange) throws(Errno) -> Void
    ) throws(Errno) {
        func changeAsCaller(_ descriptor: FileDescriptor) throws(Errno) {
            try rights.acting(for: caller) { () throws(Errno) in try change(descriptor, .asCaller) }
        }
        // An access list changes the mode, and a kernel that does not know of lists does not know of that.
        let isAccessList = name.string.map(Self.isAccessList) == true
        defer { if isAccessList { connection?.invalidate(inode, andData: false) } }
        let operation = Operation.setExtendedAttribute.rawValue
        let found = try self.inode(inode)
        switch found {
        case .free(let node):
            try enforceLive(node.scope, .setExtendedAttribute, shownPath(of: node), caller)
            try node.withDescriptor(changeAsCaller)
        case .artifact(let file):
            let place = namespace.place(of: file.id)
            let path = place.map { $0.parent.path(of: $0.name) } ?? "a removed file"
            let text = name.string ?? ""
            if text.hasPrefix(ArtifactAttribute.prefix), !ArtifactAttribute.settable.contains(text) {
                try enforce(.refused(Refusal(.notPermitted, .reservedAttribute)), operation, path, caller)
            }
            guard text.hasPrefix("user.") || text == AccessList.accessAttribute else {
                try enforce(.refused(Refusal(.notSupported, .foreignAttribute)), operation, path, caller)
                return
            }
            try deferIfClosing(file, caller)
            let standing = self.standing(of: place?.parent.scope)
            try file.state.withLock { state throws(Errno) in
                let facts = Facts(isSettling: isSettling(state, caller))
                let fileState = state.fileState(standing: standing)
                try enforce(
                    OverwritePolicy.judge(.setExtendedAttribute, on: fileState, facts: facts), operation, path, caller)
                try withDescriptor(of: file, state) { descriptor throws(Errno) in
                    guard fileState == .sealed || fileState == .sealing else { return try changeAsCaller(descriptor) }
                    // Without root nobody may set attributes of a file without write bits, its owner neither (xattr(7)).
                    let mode = try SystemCall.attributes(descriptor).st_mode
                    let isForbidden = !rights.actsForOthers && mode & S_IWUSR == 0 && text.hasPrefix("user.")
                    do throws(Errno) { try change(descriptor, isForbidden ? .ownWithoutWriting : .sealed) } catch {
                        // No such namespace is to be had here, or the file has a group that is not the driver's.
                        guard isForbidden, [.permissionDenied, .notPermitted, .noSpace].contains(error) else {
                            throw error
                        }
                        try enforce(.refused(Refusal(.notPermitted, .sealedAttributes)), operation, path, caller)
                    }
                }
            }
        case .tree(let directory) where name.string.map(Self.isAccessList) == true:
            let verdict = OverwritePolicy.judgeChange(
                ofDirectoryIn: directory.place, standing: standing(of: directory.scope))
            try enforce(verdict, operation, directory.path, caller)
            try eachReal(of: directory, changeAsCaller)
        case .tree, .made:
            try enforce(
                .refused(Refusal(.notSupported, .foreignAttribute)), operation, shownPath(of: found),
                caller)
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
