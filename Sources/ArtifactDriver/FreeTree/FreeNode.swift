internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A file, directory or anything else in `logs/` or `scratch/`, or in a directory that is an artifact; and that directory itself.
///
/// It keeps an `O_PATH` descriptor, so that it is found whatever its names are by now, hard links and unlinked open files included.
/// When there are more files than descriptors (`DescriptorBudget`), one whose name still leads to it may go without, and is opened
/// by that name when it is needed again; before the mount changes a name, what has it is given its descriptor back (`FreeTrees`).
final class FreeNode: DescriptorHolder {
    let id: InodeNumber
    let identity: FileIdentity
    /// The artifact that it is, or that it is part of; nil in `logs/` and `scratch/`. Files do not move between artifacts.
    let artifact: ArtifactDirectory?
    /// The session or test it is in, or production; files do not move between scopes but with their whole artifact.
    var scope: Scope { artifact?.scope ?? birthScope }
    private let birthScope: Scope
    /// The kind, `S_IFMT` bits.
    var kind: UInt32 { identity.kind }
    /// Guards the open handles; before `Namespace`'s lock in the order.
    let open = Lock(OpenFile())

    private struct Path {
        /// `O_PATH`; nil when it was given up.
        var descriptor: FileDescriptor?
        /// Who works with the descriptor now.
        var users: Int32 = 0
        /// Since the budget last asked.
        var wasUsed = true
        /// In the budget; nil until it has been counted, and without a descriptor.
        var place: Int?
        /// Where it was last found.
        var parent: FreeDirectory
        var name: [CChar]
    }

    /// A leaf in the order of locks; no system call is made while it is held.
    private let path: Lock<Path>
    private let trees: FreeTrees

    /// Takes the descriptor over.
    init(
        id: InodeNumber, identity: FileIdentity, scope: Scope, descriptor: FileDescriptor, parent: FreeDirectory,
        name: EntryName, trees: FreeTrees, artifact: ArtifactDirectory?
    ) {
        self.id = id
        self.identity = identity
        birthScope = scope
        self.artifact = artifact
        self.trees = trees
        path = Lock(Path(descriptor: descriptor, parent: parent, name: name.terminated))
    }

    deinit {
        let (descriptor, place) = path.withLock { ($0.descriptor, $0.place) }
        if let descriptor { try? descriptor.close() } else { trees.isFound() }
        if let place { trees.budget.remove(place) }
    }

    /// Runs with the `O_PATH` descriptor.
    ///
    /// - Throws: `ESTALE` when it was given up and its name leads elsewhere by now: the kernel then looks the path up anew.
    func withDescriptor<Result>(_ body: (FileDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
        let descriptor = try take()
        defer { giveBack() }
        return try body(descriptor)
    }

    /// Counts the first descriptor, when the node is in the namespace.
    func countDescriptor() {
        let isNew = path.withLock { path in
            path.users += 1
            return path.place == nil && path.descriptor != nil
        }
        defer { giveBack() }
        if isNew { count() }
    }

    /// A name that leads here.
    func wasFound(_ name: EntryName, in parent: FreeDirectory) {
        path.withLock { path in
            path.wasUsed = true
            path.parent = parent
            // strcmp(3) finds names alike without making an array.
            if strcmp(path.name, name.pointer) != 0 { path.name = name.terminated }
        }
    }

    // MARK: - The descriptor

    private func take() throws(Errno) -> FileDescriptor {
        if let descriptor = takeIfKept() { return descriptor }
        let (parent, name) = path.withLock { ($0.parent, $0.name) }
        let found = try find(name, in: parent)
        let (descriptor, isOurs) = path.withLock { path in
            path.users += 1
            path.wasUsed = true
            if let other = path.descriptor { return (other, false) }
            path.descriptor = found
            return (found, true)
        }
        if isOurs {
            trees.isFound()
            count()
        } else {
            try? found.close()
        }
        return descriptor
    }

    private func takeIfKept(isUse: Bool = true) -> FileDescriptor? {
        path.withLock { path in
            guard let descriptor = path.descriptor else { return nil }
            path.users += 1
            if isUse { path.wasUsed = true }
            return descriptor
        }
    }

    private func giveBack() { path.withLock { $0.users -= 1 } }

    private func count() {
        let place = trees.budget.add(self)
        path.withLock { $0.place = place }
    }

    /// Opens what a name leads to, when it is this file.
    private func find(_ name: [CChar], in parent: FreeDirectory) throws(Errno) -> FileDescriptor {
        let found: FileDescriptor
        do throws(Errno) {
            found = try Self.reaching(parent) { directory throws(Errno) in
                try SystemCall.openPath(name, in: directory)
            }
        } catch .noSuchFileOrDirectory, .notDirectory {
            throw Errno.staleNFSFileHandle
        }
        if (try? SystemCall.look(found).identity) == identity { return found }
        try? found.close()
        throw Errno.staleNFSFileHandle
    }

    /// Runs with a directory whose nodes may be without descriptors: from the nearest that has one, name by name. None of them is
    /// given one, so that this needs two descriptors however deep the directory is.
    private static func reaching<Result>(
        _ directory: FreeDirectory, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        var names: [[CChar]] = []
        var start = directory
        while case .node(let node) = start {
            if let descriptor = node.takeIfKept(isUse: false) {
                defer { node.giveBack() }
                return try descending(names, from: descriptor, body)
            }
            // Names that were changed outside may lead in a circle.
            guard names.count < 65_536 else { throw Errno.staleNFSFileHandle }
            let name: [CChar]
            (start, name) = node.path.withLock { ($0.parent, $0.name) }
            names.append(name)
        }
        return try start.withDescriptor { top throws(Errno) in try descending(names, from: top, body) }
    }

    /// - Parameter names: the deepest first.
    private static func descending<Result>(
        _ names: [[CChar]], from start: FileDescriptor, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        var own: FileDescriptor?
        defer { try? own?.close() }
        for name in names.reversed() {
            let next = try SystemCall.openPath(name, in: own ?? start)
            try? own?.close()
            own = next
        }
        return try body(own ?? start)
    }

    func giveUpDescriptor() -> Bool {
        let candidate = path.withLock { path -> (FreeDirectory, [CChar])? in
            guard path.users == 0, path.place != nil, path.descriptor != nil, !path.wasUsed else {
                path.wasUsed = false
                return nil
            }
            path.users += 1
            return (path.parent, path.name)
        }
        guard let (parent, name) = candidate else { return false }
        // Announced before the name is looked at: from now on who changes names asks for the descriptor first.
        trees.isGivenUp()
        let isFoundAgain = !trees.isChanging(name) && leadsHere(name, in: parent)
        let closed = path.withLock { path -> FileDescriptor? in
            path.users -= 1
            guard isFoundAgain, path.users == 0, !path.wasUsed else { return nil }
            defer { (path.descriptor, path.place) = (nil, nil) }
            return path.descriptor
        }
        guard let closed else {
            trees.isFound()
            return false
        }
        try? closed.close()
        return true
    }

    private func leadsHere(_ name: [CChar], in parent: FreeDirectory) -> Bool {
        let found = try? Self.reaching(parent) { directory throws(Errno) in
            try name.withUnsafeBufferPointer { name throws(Errno) -> FileIdentity? in
                guard let name = name.baseAddress else { return nil }
                return try SystemCall.look(directory, name).identity
            }
        }
        return found == identity
    }
}

/// A directory in an ordinary tree.
enum FreeDirectory: Sendable {
    /// `logs/` or `scratch/` itself, or the directory of an artifact that is one.
    case top(RealDirectory)
    /// The mount's staging directory: of an artifact that is being sealed.
    case staging(Directory)
    /// A directory that is held open: where former versions are.
    case held(Directory)
    /// A directory that was kept back.
    case kept(KeptFile, Store)
    case node(FreeNode)

    /// Runs with a descriptor that names can be looked up in.
    ///
    /// - Throws: `ENOENT` when the directory does not exist.
    func withDescriptor<Result>(_ body: (FileDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
        switch self {
        case .top(let directory):
            guard let real = try directory.current() else { throw Errno.noSuchFileOrDirectory }
            return try withExtendedLifetime(real) { () throws(Errno) in try body(real.descriptor) }
        case .staging(let directory), .held(let directory): return try body(directory.descriptor)
        case .kept(let kept, let store):
            let path = try kept.openPath(in: store)
            defer { SystemCall.close(path) }
            return try body(path)
        case .node(let node): return try node.withDescriptor(body)
        }
    }

    /// Runs with a descriptor that names can be made in: `logs/` and `scratch/` are made with the first write to them.
    func making<Result>(_ body: (FileDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
        guard case .top(let directory) = self else { return try withDescriptor(body) }
        let real = try directory.ensure(asTold: true)
        return try withExtendedLifetime(real) { () throws(Errno) in try body(real.descriptor) }
    }
}

/// What the files of all ordinary trees share.
final class FreeTrees: Sendable {
    let budget: DescriptorBudget
    private let namespace: Namespace
    /// Nodes without a descriptor, or about to be.
    private let givenUp = Atomic(0)
    /// The names, hashed, whose change is under way: as many as there are requests.
    private let changes = Lock<[Int]>([])

    init(budget: DescriptorBudget, namespace: Namespace) {
        self.budget = budget
        self.namespace = namespace
    }

    func isGivenUp() { givenUp.add(1, ordering: .sequentiallyConsistent) }
    func isFound() { givenUp.subtract(1, ordering: .sequentiallyConsistent) }

    /// Whether a change of a name like this is under way.
    func isChanging(_ name: [CChar]) -> Bool {
        let hash = name.withUnsafeBufferPointer { Self.hash(UnsafeRawBufferPointer($0).dropLast()) }
        return changes.withLock { $0.contains(hash) }
    }

    /// Runs a call that takes names away from files, which keep or get their descriptors: names lead to them no more.
    ///
    /// Either the node that is giving its descriptor up sees this change, or this sees the node.
    func changing<Result>(
        _ names: (directory: FileDescriptor, name: EntryName)..., body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        changes.withLock { changes in for (_, name) in names { changes.append(Self.hash(name.bytes[...])) } }
        defer {
            changes.withLock { changes in
                for (_, name) in names {
                    if let place = changes.firstIndex(of: Self.hash(name.bytes[...])) { changes.remove(at: place) }
                }
            }
        }
        if givenUp.load(ordering: .sequentiallyConsistent) > 0 {
            for (directory, name) in names { try? node(name, in: directory)?.withDescriptor { _ in } }
        }
        return try body()
    }

    private static func hash(_ name: Slice<UnsafeRawBufferPointer>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: name))
        return hasher.finalize()
    }

    /// A rename made a name: what the kernel knows as this file is found there from now on.
    func moved(to name: EntryName, in parent: FreeDirectory, _ directory: FileDescriptor) {
        node(name, in: directory)?.wasFound(name, in: parent)
    }

    /// The node that a name leads to, if the kernel knows it.
    private func node(_ name: EntryName, in directory: FileDescriptor) -> FreeNode? {
        guard let found = try? SystemCall.look(directory, name.pointer) else { return nil }
        return namespace.freeNode(found.identity)
    }
}

extension EntryName {
    /// The bytes with the NUL, to keep.
    var terminated: [CChar] { Array(UnsafeBufferPointer(start: pointer, count: count + 1)) }
}
