internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Every inode that the kernel knows or that is staged, by number and by name.
///
/// One lock guards it all. It is the last in the lock order (`ArtifactFile.state` and `FreeNode.state` come before it), and no
/// system call is made while it is held.
final class Namespace: Sendable {
    /// 48 bytes.
    private struct Slot {
        var inode: Inode
        /// References that the kernel holds (lookups minus forgets).
        var lookups: UInt64
        /// Reasons of ours to keep it: staged files, the tree's directories.
        var pins: UInt32
        var generation: UInt32
        /// Where it is named; the name is empty for free nodes and for what has been removed.
        var parent: InodeNumber
        var name: String
    }

    private struct State {
        var slots = SlotTable<Slot>()
        var generation: UInt32 = 0
        /// The inodes by directory and name.
        var names = NumberIndex()
        /// The free nodes by their real files.
        var free = NumberIndex()
        /// The inodes with pins: few, so that a listing finds a directory's staged files without reading every slot.
        var pinned: Set<InodeNumber> = []
        /// Counts what may change which staged files a listing shows.
        var stagedChanges: UInt64 = 0
        /// The most inodes since memory was last given back.
        var most = 0

        subscript(number: InodeNumber) -> Slot? { slots[Int(truncatingIfNeeded: number.rawValue)] }

        mutating func update(_ number: InodeNumber, _ body: (inout Slot) -> Void) {
            slots.update(Int(truncatingIfNeeded: number.rawValue), body)
        }

        /// Names are bytes to the kernel; Swift's `==` would also equate canonically equivalent text.
        private func isSame(_ one: String, _ other: String) -> Bool {
            guard one.utf8.count == other.utf8.count else { return false }
            let result = one.utf8.withContiguousStorageIfAvailable { one in
                other.utf8.withContiguousStorageIfAvailable { one.elementsEqual($0) }
            }
            if case .some(.some(let isSame)) = result { return isSame }
            return one.utf8.elementsEqual(other.utf8)
        }

        static func hash(_ name: String, in parent: InodeNumber) -> UInt32 {
            var hasher = Hasher()
            hasher.combine(parent.rawValue)
            var name = name
            name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            return UInt32(truncatingIfNeeded: hasher.finalize())
        }

        func number(of name: String, in parent: InodeNumber, _ hash: UInt32) -> InodeNumber? {
            let found = names.find(hash) { number in
                guard let slot = slots[Int(number)] else { return false }
                return slot.parent == parent && isSame(slot.name, name)
            }
            return found.map { InodeNumber(rawValue: UInt64($0)) }
        }

        func number(of name: String, in parent: InodeNumber) -> InodeNumber? {
            number(of: name, in: parent, Self.hash(name, in: parent))
        }

        /// Takes an inode's name away.
        mutating func unname(_ number: InodeNumber) {
            guard let slot = self[number], !slot.name.isEmpty else { return }
            names.remove(UInt32(truncatingIfNeeded: number.rawValue), Self.hash(slot.name, in: slot.parent))
            update(number) { $0.name = "" }
            countName(in: slot.parent, -1)
            if slot.pins > 0 { stagedChanges &+= 1 }
        }

        /// Names in a directory of the tree keep it.
        mutating func countName(in parent: InodeNumber, _ change: Int) {
            if case .tree(let directory)? = self[parent]?.inode { directory.countName(change) }
        }

        func freeNode(_ id: FileIdentity, _ hash: UInt32) -> (node: FreeNode, number: InodeNumber)? {
            var node: FreeNode?
            let number = free.find(hash) { number in
                guard case .free(let found)? = slots[Int(number)]?.inode, found.identity == id else { return false }
                node = found
                return true
            }
            guard let number, let node else { return nil }
            return (node, InodeNumber(rawValue: UInt64(number)))
        }
    }

    private let state = Lock(State())

    /// The inode with a number.
    subscript(number: InodeNumber) -> Inode? { state.withLock { $0[number]?.inode } }

    /// The number of inodes.
    var count: Int { state.withLock { $0.slots.count } }

    /// Another number whenever a staged file came, went or got another name.
    var stagedChanges: UInt64 { state.withLock { $0.stagedChanges } }

    /// Which of the lives of a number this is.
    func generation(of number: InodeNumber) -> UInt64 { state.withLock { UInt64($0[number]?.generation ?? 0) } }

    /// A directory of the tree was removed and is there again for who looks for it next, as another one.
    ///
    /// The kernel marks what `rmdir` has removed as dead, and as long as anybody holds it (a working directory, a descriptor, a look
    /// on its way) it finds it again by its number: nothing could be made in it, `ENOENT` says fs/namei.c, `may_create`. With another
    /// generation it takes another inode, fs/fuse/inode.c, `fuse_iget`; who holds the former one is told `EIO`. (Kernels before 5.15
    /// do not compare generations.)
    func renew(_ name: String, in parent: InodeNumber) {
        state.withLock { state in
            guard let number = state.number(of: name, in: parent) else { return }
            state.generation &+= 1
            let generation = state.generation
            state.update(number) { $0.generation = generation }
        }
    }

    /// The inode that a name has. `remembering` counts one lookup of the kernel's.
    func find(_ name: String, in parent: InodeNumber, remembering: Bool) -> Inode? {
        state.withLock { state in
            guard let number = state.number(of: name, in: parent) else { return nil }
            if remembering { state.update(number) { $0.lookups += 1 } }
            return state[number]?.inode
        }
    }

    /// The number of the inode that a name has.
    func number(of name: String, in parent: InodeNumber) -> InodeNumber? {
        state.withLock { $0.number(of: name, in: parent) }
    }

    /// The names that inodes have in a directory.
    func names(in parent: InodeNumber) -> [String] {
        state.withLock { state in
            var names: [String] = []
            state.slots.forEach { if $0.parent == parent, !$0.name.isEmpty { names.append($0.name) } }
            return names
        }
    }

    /// The inode that a name has, or a new one.
    ///
    /// - Parameters:
    ///   - remembering: counts one lookup of the kernel's.
    ///   - pinned: keeps a new one until `unpin`.
    func findOrInsert(
        _ name: String, in parent: InodeNumber, remembering: Bool, pinned: Bool = false,
        make: (InodeNumber) -> Inode
    ) -> (inode: Inode, number: InodeNumber, isNew: Bool) {
        state.withLock { state in
            let hash = State.hash(name, in: parent)
            if let number = state.number(of: name, in: parent, hash), let inode = state[number]?.inode {
                if remembering { state.update(number) { $0.lookups += 1 } }
                return (inode, number, false)
            }
            let (number, inode) = Self.insert(
                in: &state, lookups: remembering ? 1 : 0, pins: pinned ? 1 : 0, parent: parent, name: name, make: make)
            state.names.insert(UInt32(truncatingIfNeeded: number.rawValue), hash)
            return (inode, number, true)
        }
    }

    /// The free node of a real file, or a new one. Counts one lookup of the kernel's.
    func findOrInsertFree(_ id: FileIdentity, make: (InodeNumber) -> FreeNode) -> FreeNode {
        state.withLock { state in
            let hash = id.shortHash
            if let (node, number) = state.freeNode(id, hash) {
                state.update(number) { $0.lookups += 1 }
                return node
            }
            var made: FreeNode?
            let (number, inode) = Self.insert(
                in: &state, lookups: 1, pins: 0, parent: InodeNumber(rawValue: 0), name: "",
                make: { number in
                    let node = make(number)
                    made = node
                    return .free(node)
                })
            state.free.insert(UInt32(truncatingIfNeeded: number.rawValue), hash)
            if let made { return made }
            if case .free(let node) = inode { return node }
            return make(number)
        }
    }

    /// The free node of a real file, if the kernel knows it.
    func freeNode(_ id: FileIdentity) -> FreeNode? { state.withLock { $0.freeNode(id, id.shortHash)?.node } }

    private static func insert(
        in state: inout State, lookups: UInt64, pins: UInt32, parent: InodeNumber, name: String,
        make: (InodeNumber) -> Inode
    ) -> (InodeNumber, Inode) {
        let index = state.slots.take()
        let number = InodeNumber(rawValue: UInt64(index))
        let inode = make(number)
        state.generation &+= 1
        state.slots[index] = Slot(
            inode: inode, lookups: lookups, pins: pins, generation: state.generation, parent: parent, name: name)
        state.most = max(state.most, state.slots.count)
        if !name.isEmpty { state.countName(in: parent, 1) }
        if pins > 0 {
            state.pinned.insert(number)
            state.stagedChanges &+= 1
        }
        return (number, inode)
    }

    /// Counts one lookup of the kernel's.
    func remember(_ number: InodeNumber) { state.withLock { $0.update(number) { $0.lookups += 1 } } }

    /// Takes lookups back; what nobody needs any more goes.
    func forget(_ number: InodeNumber, lookups: UInt64) {
        let gone = state.withLock { state in
            state.update(number) { $0.lookups = $0.lookups > lookups ? $0.lookups - lookups : 0 }
            return Self.dropIfUnneeded(number, in: &state)
        }
        _ = gone  // Destroyed here, outside the lock: a free node closes a descriptor.
    }

    /// Whether so many inodes went that their memory should be given back to the system; asked once for each time that is so.
    func hasShrunk() -> Bool {
        state.withLock { state in
            guard state.most >= Self.many, state.slots.count < state.most / 4 else { return false }
            state.most = state.slots.count
            return true
        }
    }

    private static let many = 16_384

    /// Ends a pin.
    func unpin(_ number: InodeNumber) {
        let gone = state.withLock { state -> Gone in
            guard let slot = state[number], slot.pins > 0 else { return Gone() }
            state.update(number) { $0.pins -= 1 }
            if slot.pins == 1 { state.pinned.remove(number) }
            state.stagedChanges &+= 1
            return Self.dropIfUnneeded(number, in: &state)
        }
        _ = gone
    }

    /// Keeps an inode until `unpin`.
    func pin(_ number: InodeNumber) {
        state.withLock { state in
            state.update(number) { $0.pins += 1 }
            state.pinned.insert(number)
            state.stagedChanges &+= 1
        }
    }

    /// What was dropped, to be destroyed outside the lock.
    private struct Gone: Sendable {
        var inode: Inode?
        /// Directories that only it kept.
        var parents: [Inode] = []
    }

    /// Drops an inode that nobody needs, and then the directories of sessions and tests that only its name kept.
    private static func dropIfUnneeded(_ number: InodeNumber, in state: inout State) -> Gone {
        var gone = Gone()
        var next = number
        while let slot = state[next], slot.lookups == 0, slot.pins == 0 {
            switch slot.inode {
            case .tree(let directory):
                guard directory.isTransient, directory.names == 0 else { return gone }
                state.unname(next)
            case .artifact, .made, .kept: state.unname(next)
            case .free(let node): state.free.remove(UInt32(truncatingIfNeeded: next.rawValue), node.identity.shortHash)
            }
            state.slots.free(Int(truncatingIfNeeded: next.rawValue))
            if gone.inode == nil { gone.inode = slot.inode } else { gone.parents.append(slot.inode) }
            guard !slot.name.isEmpty, case .tree? = state[slot.parent]?.inode else { return gone }
            next = slot.parent
        }
        return gone
    }

    /// Drops a directory that the name which is gone was the last to keep.
    private static func dropParent(_ parent: InodeNumber?, in state: inout State) -> Gone {
        guard let parent, case .tree? = state[parent]?.inode else { return Gone() }
        return dropIfUnneeded(parent, in: &state)
    }

    /// Where an inode is named; nil when its name is gone.
    func place(of number: InodeNumber) -> (parent: TreeDirectory, name: String)? {
        state.withLock { state in
            guard let slot = state[number], !slot.name.isEmpty, case .tree(let directory)? = state[slot.parent]?.inode
            else { return nil }
            return (directory, slot.name)
        }
    }

    /// Takes an inode's name away; the inode stays while somebody holds it.
    func removeName(of number: InodeNumber) {
        let gone = state.withLock { state in
            let parent = state[number]?.parent
            state.unname(number)
            return Self.dropParent(parent, in: &state)
        }
        _ = gone
    }

    /// Gives an inode another name, taking it from whatever had it.
    func move(_ number: InodeNumber, to name: String, in parent: InodeNumber) {
        let gone = state.withLock { state -> Gone in
            guard let slot = state[number] else { return Gone() }
            if let other = state.number(of: name, in: parent), other != number { state.unname(other) }
            state.unname(number)
            state.update(number) { slot in
                slot.parent = parent
                slot.name = name
            }
            state.names.insert(UInt32(truncatingIfNeeded: number.rawValue), State.hash(name, in: parent))
            state.countName(in: parent, 1)
            if slot.pins > 0 { state.stagedChanges &+= 1 }
            return Self.dropParent(slot.parent, in: &state)
        }
        _ = gone
    }

    /// The staged files of a directory, which a listing shows beside the real ones.
    func pinnedArtifacts(in parent: InodeNumber) -> [(name: String, file: ArtifactFile)] {
        state.withLock { state in
            var found: [(String, ArtifactFile)] = []
            for number in state.pinned {
                guard let slot = state[number], slot.parent == parent, !slot.name.isEmpty,
                    case .artifact(let file) = slot.inode
                else { continue }
                found.append((slot.name, file))
            }
            return found
        }
    }

    /// Every inode.
    var all: [Inode] {
        state.withLock { state in
            var all: [Inode] = []
            all.reserveCapacity(state.slots.count)
            state.slots.forEach { all.append($0.inode) }
            return all
        }
    }

    /// Every staged file.
    var pinnedArtifacts: [ArtifactFile] {
        state.withLock { state in
            state.pinned.compactMap { number in
                if case .artifact(let file)? = state[number]?.inode { file } else { nil }
            }
        }
    }
}

extension FileIdentity {
    fileprivate var shortHash: UInt32 {
        var hasher = Hasher()
        hash(into: &hasher)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }
}
