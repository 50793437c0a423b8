internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Who changes an attribute.
enum AttributeAgent {
    /// The caller, with the caller's rights.
    case caller
    /// Root's driver, of a sealed file: its writer may for a few seconds what the mode forbids even the owner.
    case driver
    /// An ordinary user's driver, of a sealed file, which is never given its write bits back for that.
    case ownerWithoutWriting
}

/// Sets or removes an attribute.
typealias AttributeChange = (_ file: FileDescriptor, _ agent: AttributeAgent) throws(Errno) -> Void

/// Operations on extended attributes: what kind of inode it is decides who does it.
extension Volume {
    public func extendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) -> [UInt8] {
        let caller = request.caller
        switch try self.inode(inode) {
        case .tree(let directory): return try attribute(name, of: directory, caller)
        case .artifact(let file): return try attribute(name, of: file, caller)
        case .free(let node):
            if let artifact = node.artifact, name.string == ArtifactAttribute.asker,
                let staged = artifactDirectories.staged(artifact)
            {
                return Array(asker(caller, of: staged).text.utf8)
            }
            if let artifact = node.artifact, name.string == ArtifactAttribute.state {
                let isWhole = isTop(node, of: artifact)
                let state =
                    isWhole ? state(ofWhole: artifact, in: node.scope) : state(of: artifact, in: node.scope)
                return Array(state.rawValue.utf8)
            }
            if node.artifact != nil, let record = name.string, ArtifactAttribute.ofRecord.contains(record) {
                return try recordAttribute(record, of: node, caller)
            }
            return try node.withDescriptor { descriptor throws(Errno) in
                try attribute(name, of: descriptor, for: caller)
            }
        case .made(.hiddenFile(.runs, _)) where name.string == ArtifactAttribute.run: return try runAttribute(caller)
        case .made(.record(let record)): return try attribute(name, of: record, caller)
        case .kept(let kept): return try attribute(name, of: kept, caller)
        case .made: throw Errno.noData
        }
    }

    public func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        switch try self.inode(inode) {
        case .artifact(let file): try attributeNames(of: file)
        case .free(let node):
            try node.withDescriptor { descriptor throws(Errno) in
                try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                    try SystemCall.extendedAttributeNames(ofPath: path)
                }
            }
        case .kept(let kept): try attributeNames(of: kept)
        case .tree, .made: []
        }
    }

    public func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        if case .kept(let kept) = try self.inode(inode) {
            return try setAttribute(name, of: kept, to: Array(value), flags: flags, request.caller)
        }
        if name.string == ArtifactAttribute.state, case .tree(let directory) = try self.inode(inode),
            case .scope(.session(let session)) = directory.location
        {
            guard value.elementsEqual(FileState.frozen.rawValue.utf8) else { throw Errno.invalidArgument }
            return try endSession(session, directory.path, for: request.caller)
        }
        if name.string == ArtifactAttribute.run, case .made(.hiddenFile(.runs, _)) = try self.inode(inode) {
            return try changeRun(value, for: request.caller)
        }
        if name.string == ArtifactAttribute.versions, case .made(.hiddenFile(.versions, _)) = try self.inode(inode) {
            return try changeVersions(value, for: request.caller)
        }
        if name.string == ArtifactAttribute.promotions,
            case .made(.hiddenFile(.promotions, _)) = try self.inode(inode)
        {
            return try promote(value, for: request.caller)
        }
        let isMode =
            name.string == AccessList.accessAttribute && AccessList(attribute: Array(value))?.isMode == true
        try changeAttribute(name, of: inode, isMode: isMode, request.caller) { file, agent throws(Errno) in
            if agent == .ownerWithoutWriting {
                return try SystemCall.setExtendedAttribute(name.pointer, value, ofOwn: file, flags: flags)
            }
            try SystemCall.withPath(of: file) { path throws(Errno) in
                guard agent == .driver, name.string == AccessList.accessAttribute else {
                    return try SystemCall.setExtendedAttribute(name.pointer, value, ofPath: path, flags: flags)
                }
                guard let list = AccessList(attribute: Array(value)) else { throw Errno.invalidArgument }
                try SystemCall.setExtendedAttribute(
                    name.pointer, list.withoutWriting.attribute, ofPath: path, flags: flags)
            }
        }
    }

    public func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) {
        if case .kept(let kept) = try self.inode(inode) {
            return try setAttribute(name, of: kept, to: nil, flags: 0, request.caller)
        }
        // What is without a list has its mode alone.
        try changeAttribute(name, of: inode, isMode: true, request.caller) { file, agent throws(Errno) in
            if agent == .ownerWithoutWriting {
                return try SystemCall.removeExtendedAttribute(name.pointer, ofOwn: file)
            }
            try SystemCall.withPath(of: file) { path throws(Errno) in
                try SystemCall.removeExtendedAttribute(name.pointer, ofPath: path)
            }
        }
    }

    private func changeAttribute(
        _ name: EntryName, of inode: InodeNumber, isMode: Bool, _ caller: Caller, _ change: AttributeChange
    ) throws(Errno) {
        // An access list changes the mode, and a kernel that does not know of lists does not know of that.
        defer { if isAccessList(name) { connection?.invalidate(inode, andData: false) } }
        let found = try self.inode(inode)
        switch found {
        case .artifact(let file): try changeAttribute(name, of: file, caller, change)
        case .tree(let directory) where isAccessList(name):
            try changeAccessList(of: directory, isMode: isMode, caller, change)
        case .free(let node):
            try enforceLive(node, .setExtendedAttribute, caller)
            try changing(node.artifact, caller) { () throws(Errno) in
                try node.withDescriptor { descriptor throws(Errno) in
                    try rights.acting(for: caller) { () throws(Errno) in try change(descriptor, .caller) }
                }
            }
        case .tree(let directory):
            let verdict = OverwritePolicy.judge(
                .operation(.setExtendedAttribute), onTree: directory.location, standing: standing(of: directory.scope),
                isEmpty: false)
            try enforce(verdict, Operation.setExtendedAttribute.rawValue, directory.path, caller)
        case .kept(let kept): try refuseKept(.operation(.setExtendedAttribute), kept, caller)
        case .made(let made):
            try refuseMade(.operation(.setExtendedAttribute), made, shownPath(of: found), caller)
        }
    }

    func isAccessList(_ name: EntryName) -> Bool {
        name.string.map(ArtifactAttribute.isAccessList) ?? false
    }

    /// An attribute of a real file. The kernel asks for access lists on its own account, to decide with them, and takes no other word for
    /// "none" than `ENODATA`.
    func attribute(
        _ name: EntryName, of descriptor: FileDescriptor, for caller: Caller
    ) throws(Errno) -> [UInt8] {
        do throws(Errno) {
            return try rights.acting(for: caller) { () throws(Errno) in
                try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                    try SystemCall.extendedAttribute(name.pointer, ofPath: path)
                }
            }
        } catch .notSupported where isAccessList(name) { throw Errno.noData }
    }
}
