internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization

/// Every inode that the kernel knows or that is staged, by number and by name.
///
/// One lock guards it all. It is the last in the lock order (`ArtifactFile.state` and `FreeNode.state` come before it), and no
/// system call is made while it is held.
final class Namespace: Sendable {
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

    /// Names are bytes to the kernel; Swift's `==` would also equate canonically equivalent text.
    private struct Key: Hashable {
        let parent: UInt64
        let name: String

        static func == (left: Key, right: Key) -> Bool {
            left.parent == right.parent && left.name.utf8.elementsEqual(right.name.utf8)
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(parent)
            var name = name
            name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// A real file's identity.
    struct FileID: Hashable, Sendable {
        let device: UInt64
        let number: UInt64
        /// The `S_IFMT` bits: a number is used again, and nobody keeps it while a node is without a descriptor.
        let kind: UInt32

        init(_ attributes: stat) {
            device = UInt64(attributes.st_dev)
            number = UInt64(attributes.st_ino)
            kind = attributes.st_mode & S_IFMT
        }
    }

    private struct State {
        var slots: [Slot?] = [nil]
        var unused: [Int] = []
        var generation: UInt32 = 0
        var names: [Key: InodeNumber] = [:]
        var free: [FileID: InodeNumber] = [:]
        /// The inodes with pins: few, so that a listing finds a directory's staged files without reading every slot.
        var pinned: Set<InodeNumber> = []
    }

    private let state = Mutex(State())

    /// The inode with a number.
    subscript(number: InodeNumber) -> Inode? {
        state.withLock { state in
            let index = Int(truncatingIfNeeded: number.rawValue)
            return state.slots.indices.contains(index) ? state.slots[index]?.inode : nil
        }
    }

    /// The number of inodes.
    var count: Int { state.withLock { $0.slots.count - 1 - $0.unused.count } }

    /// How many lives the number had before.
    func generation(of number: InodeNumber) -> UInt64 {
        state.withLock { state in
            let index = Int(truncatingIfNeeded: number.rawValue)
            return state.slots.indices.contains(index) ? UInt64(state.slots[index]?.generation ?? 0) : 0
        }
    }

    /// The inode that a name has. `remembering` counts one lookup of the kernel's.
    func find(_ name: String, in parent: InodeNumber, remembering: Bool) -> Inode? {
        state.withLock { state in
            guard let number = state.names[Key(parent: parent.rawValue, name: name)] else { return nil }
            let index = Int(number.rawValue)
            if remembering { state.slots[index]?.lookups += 1 }
            return state.slots[index]?.inode
        }
    }

    /// The number of the inode that a name has.
    func number(of name: String, in parent: InodeNumber) -> InodeNumber? {
        state.withLock { $0.names[Key(parent: parent.rawValue, name: name)] }
    }

    /// The names that inodes have in a directory.
    func names(in parent: InodeNumber) -> [String] {
        state.withLock { state in state.names.keys.filter { $0.parent == parent.rawValue }.map(\.name) }
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
            let key = Key(parent: parent.rawValue, name: name)
            if let number = state.names[key], let slot = state.slots[Int(number.rawValue)] {
                if remembering { state.slots[Int(number.rawValue)]?.lookups += 1 }
                return (slot.inode, number, false)
            }
            let (number, inode) = Self.insert(
                in: &state, lookups: remembering ? 1 : 0, pins: pinned ? 1 : 0, parent: parent, name: name, make: make)
            state.names[key] = number
            return (inode, number, true)
        }
    }

    /// The free node of a real file, or a new one. Counts one lookup of the kernel's.
    func findOrInsertFree(_ id: FileID, make: (InodeNumber) -> FreeNode) -> FreeNode {
        state.withLock { state in
            if let number = state.free[id], case .free(let node)? = state.slots[Int(number.rawValue)]?.inode {
                state.slots[Int(number.rawValue)]?.lookups += 1
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
            state.free[id] = number
            if let made { return made }
            if case .free(let node) = inode { return node }
            return make(number)
        }
    }

    /// The free node of a real file, if the kernel knows it.
    func freeNode(_ id: FileID) -> FreeNode? {
        state.withLock { state in
            guard let number = state.free[id], case .free(let node)? = state.slots[Int(number.rawValue)]?.inode else {
                return nil
            }
            return node
        }
    }

    private static func insert(
        in state: inout State, lookups: UInt64, pins: UInt32, parent: InodeNumber, name: String,
        make: (InodeNumber) -> Inode
    ) -> (InodeNumber, Inode) {
        let index: Int
        if let reused = state.unused.popLast() {
            index = reused
        } else {
            index = state.slots.count
            state.slots.append(nil)
        }
        let number = InodeNumber(rawValue: UInt64(index))
        let inode = make(number)
        state.generation &+= 1
        state.slots[index] = Slot(
            inode: inode, lookups: lookups, pins: pins, generation: state.generation, parent: parent, name: name)
        if pins > 0 { state.pinned.insert(number) }
        return (number, inode)
    }

    /// Counts one lookup of the kernel's.
    func remember(_ number: InodeNumber) {
        state.withLock { $0.slots[Int(number.rawValue)]?.lookups += 1 }
    }

    /// Takes lookups back; what nobody needs any more goes.
    func forget(_ number: InodeNumber, lookups: UInt64) {
        let gone: Inode? = state.withLock { state in
            let index = Int(truncatingIfNeeded: number.rawValue)
            guard state.slots.indices.contains(index), var slot = state.slots[index] else { return nil }
            slot.lookups = slot.lookups > lookups ? slot.lookups - lookups : 0
            state.slots[index] = slot
            return Self.dropIfUnneeded(index, in: &state)
        }
        _ = gone  // Destroyed here, outside the lock: a free node closes a descriptor.
    }

    /// Ends a pin.
    func unpin(_ number: InodeNumber) {
        let gone: Inode? = state.withLock { state in
            let index = Int(truncatingIfNeeded: number.rawValue)
            guard state.slots.indices.contains(index), var slot = state.slots[index], slot.pins > 0 else { return nil }
            slot.pins -= 1
            state.slots[index] = slot
            if slot.pins == 0 { state.pinned.remove(number) }
            return Self.dropIfUnneeded(index, in: &state)
        }
        _ = gone
    }

    /// Keeps an inode until `unpin`.
    func pin(_ number: InodeNumber) {
        state.withLock { state in
            state.slots[Int(number.rawValue)]?.pins += 1
            state.pinned.insert(number)
        }
    }

    private static func dropIfUnneeded(_ index: Int, in state: inout State) -> Inode? {
        guard let slot = state.slots[index], slot.lookups == 0, slot.pins == 0 else { return nil }
        switch slot.inode {
        case .tree: return nil
        case .artifact, .made:
            if !slot.name.isEmpty {
                let key = Key(parent: slot.parent.rawValue, name: slot.name)
                if state.names[key]?.rawValue == UInt64(index) { state.names[key] = nil }
            }
        case .free(let node): if state.free[node.fileID]?.rawValue == UInt64(index) { state.free[node.fileID] = nil }
        }
        state.slots[index] = nil
        state.unused.append(index)
        return slot.inode
    }

    /// Where an inode is named; nil when its name is gone.
    func place(of number: InodeNumber) -> (parent: TreeDirectory, name: String)? {
        state.withLock { state in
            guard let slot = state.slots[Int(number.rawValue)], !slot.name.isEmpty,
                case .tree(let directory)? = state.slots[Int(slot.parent.rawValue)]?.inode
            else { return nil }
            return (directory, slot.name)
        }
    }

    /// Takes an inode's name away; the inode stays while somebody holds it.
    func removeName(of number: InodeNumber) {
        state.withLock { state in
            let index = Int(number.rawValue)
            guard let slot = state.slots[index], !slot.name.isEmpty else { return }
            let key = Key(parent: slot.parent.rawValue, name: slot.name)
            if state.names[key] == number { state.names[key] = nil }
            state.slots[index]?.name = ""
        }
    }

    /// Gives an inode another name, taking it from whatever had it.
    func move(_ number: InodeNumber, to name: String, in parent: InodeNumber) {
        state.withLock { state in
            let index = Int(number.rawValue)
            guard let slot = state.slots[index] else { return }
            if !slot.name.isEmpty {
                let key = Key(parent: slot.parent.rawValue, name: slot.name)
                if state.names[key] == number { state.names[key] = nil }
            }
            let key = Key(parent: parent.rawValue, name: name)
            if let other = state.names[key], other != number { state.slots[Int(other.rawValue)]?.name = "" }
            state.names[key] = number
            state.slots[index]?.parent = parent
            state.slots[index]?.name = name
        }
    }

    /// The staged files of a directory, which a listing shows beside the real ones.
    func pinnedArtifacts(in parent: InodeNumber) -> [(name: String, file: ArtifactFile)] {
        state.withLock { state in
            var found: [(String, ArtifactFile)] = []
            for number in state.pinned {
                guard let slot = state.slots[Int(number.rawValue)], slot.parent == parent, !slot.name.isEmpty,
                    case .artifact(let file) = slot.inode
                else { continue }
                found.append((slot.name, file))
            }
            return found
        }
    }

    /// Every staged file.
    var pinnedArtifacts: [ArtifactFile] {
        state.withLock { state in
            state.pinned.compactMap { number in
                if case .artifact(let file)? = state.slots[Int(number.rawValue)]?.inode { file } else { nil }
            }
        }
    }
}
