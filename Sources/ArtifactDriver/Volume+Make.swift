internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    public func makeDirectory(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32
    ) throws(Errno) -> Entry {
        if case .tree(let directory) = try inode(parent), directory.place != .ordinaryTree {
            return try makeTreeDirectory(try text(name), in: directory, mode: mode, request.caller)
        }
        return try makeFree(request, parent, name, .directory) { directory throws(Errno) in
            try SystemCall.makeDirectory(directory, name.pointer, mode & 0o7777)
        }
    }

    public func makeNode(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, device: UInt64
    ) throws(Errno) -> Entry {
        if case .tree(let directory) = try inode(parent), directory.place != .ordinaryTree, mode & S_IFMT == S_IFREG {
            // mknod(2) of a plain file: made as by open, and closed again: empty.
            let created = try create(
                request, parent: parent, name: name, mode: mode, flags: OpenFlags(rawValue: O_WRONLY | O_EXCL))
            release(inode: created.entry.inode, handle: created.opened.handle)
            return created.entry
        }
        let creation: Creation = mode & S_IFMT == S_IFREG ? .file : .specialFile
        return try makeFree(request, parent, name, creation) { directory throws(Errno) in
            try SystemCall.makeNode(directory, name.pointer, mode, device: device)
        }
    }

    public func makeSymbolicLink(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, target: EntryName
    ) throws(Errno) -> Entry {
        try makeFree(request, parent, name, .symbolicLink) { directory throws(Errno) in
            try SystemCall.makeSymbolicLink(directory, name.pointer, to: target.pointer)
        }
    }

    public func link(
        _ request: borrowing Request, inode: InodeNumber, newParent: InodeNumber, newName: EntryName
    ) throws(Errno) -> Entry {
        let caller = request.caller
        switch (try self.inode(inode), try self.inode(newParent)) {
        case (.free(let node), let parent):
            guard let target = try freeTarget(parent) else { break }
            guard target.scope == node.scope else { throw Errno.improperLink }
            try enforceLive(node.scope, .link, shownPath(of: newName, in: newParent), caller)
            try node.withDescriptor { file throws(Errno) in
                try target.directory.withDescriptor { directory throws(Errno) in
                    try rights.acting(for: caller) { () throws(Errno) in
                        try SystemCall.link(file, directory, newName.pointer)
                    }
                }
            }
            return try freeEntry(newName, in: target.directory, scope: target.scope)
        case (.artifact(let file), _):
            let place = namespace.place(of: file.id)
            let standing = self.standing(of: place?.parent.scope)
            let state = file.state.withLock { $0.fileState(standing: standing) }
            try enforce(
                OverwritePolicy.judge(.link, on: state), Operation.link.rawValue,
                place.map { $0.parent.path(of: $0.name) } ?? "a removed file", caller)
        default: break
        }
        try enforce(
            .refused(Refusal(.notPermitted, .noLinks)), Operation.link.rawValue,
            shownPath(of: newName, in: newParent), caller)
        throw Errno.notPermitted
    }

    /// The directory of a place in an ordinary tree, made when it is the first write to it; nil elsewhere.
    func freeTarget(_ inode: Inode) throws(Errno) -> (directory: FreeDirectory, scope: Scope)? {
        switch inode {
        case .free(let node): return (.node(node), node.scope)
        case .tree(let directory) where directory.place == .ordinaryTree:
            guard let scope = directory.scope else { return nil }
            if standing(of: scope) == .live { _ = try ensure(directory) }
            return (.top(directory.real), scope)
        default: return nil
        }
    }

    /// Makes something in an ordinary tree as the caller; elsewhere the policy says why not.
    private func makeFree(
        _ request: borrowing Request, _ parent: InodeNumber, _ name: EntryName, _ creation: Creation,
        _ make: (FileDescriptor) throws(Errno) -> Void
    ) throws(Errno) -> Entry {
        let caller = request.caller
        switch try inode(parent) {
        case .tree(let directory):
            guard directory.place == .ordinaryTree else {
                let verdict = OverwritePolicy.judge(
                    creation, named: classify(name.string ?? "/", in: directory), in: directory.place,
                    standing: standing(of: directory.scope))
                try enforce(verdict, creation.rawValue, shownPath(of: name, in: parent), caller)
                throw Errno.notPermitted
            }
            let scope = try liveScope(of: directory, creation, name, caller)
            let real = try ensure(directory)
            try rights.creating(for: caller) { () throws(Errno) in try make(real.descriptor) }
            return try freeEntry(name, in: .top(directory.real), scope: scope)
        case .free(let node):
            try enforceLive(node.scope, .openToWrite, shownPath(of: name, in: parent), caller)
            try node.withDescriptor { directory throws(Errno) in
                try rights.creating(for: caller) { () throws(Errno) in try make(directory) }
            }
            return try freeEntry(name, in: .node(node), scope: node.scope)
        case .made:
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), creation.rawValue, shownPath(of: name, in: parent),
                caller)
            throw Errno.notPermitted
        case .artifact: throw Errno.notDirectory
        }
    }

    /// `mkdir` of a session or a test; the schema's directories are there already.
    private func makeTreeDirectory(
        _ name: String, in directory: TreeDirectory, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> Entry {
        if try subdirectory(name, of: directory) != nil { throw Errno.fileExists }
        let verdict = OverwritePolicy.judge(
            .directory, named: classify(name, in: directory), in: directory.place,
            standing: standing(of: directory.scope))
        try enforce(verdict, Creation.directory.rawValue, directory.path(of: name), caller)
        switch directory.location {
        case .mode(.development):
            guard let session = SessionName(name) else { throw Errno.invalidArgument }
            try rights.checkCreation(in: directory.real.nearestExisting(), for: caller)
            try store.beginSession(named: session)
            try makeScope(.session(session), mode, caller)
            beginSession(session, for: caller)
        case .mode(.test):
            guard let test = TestName(name) else { throw Errno.invalidArgument }
            try makeScope(.test(test), mode, caller)
        default: throw Errno.invalidArgument
        }
        return try treeEntry(name, in: directory)
    }

    /// A session's or a test's own directory, made by the caller, and with the same owner and permissions in the other layers: what is
    /// private is private in each.
    private func makeScope(_ scope: Scope, _ mode: UInt32, _ caller: Caller) throws(Errno) {
        try store.makeScope(scope) { parent, name throws(Errno) in
            try rights.creating(for: caller) { () throws(Errno) in
                try SystemCall.makeDirectory(parent, name, mode & 0o7777)
            }
        }
    }
}
