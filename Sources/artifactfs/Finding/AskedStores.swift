import ArgumentParser

/// Which stores a command asks that asks several together.
struct AskedStores: ParsableArguments {
    @OptionGroup var store: StoreArguments
    @Option(name: .long, help: "All stores below a directory, as 'mount --root' shows them.", completion: .directory)
    var root: String?

    /// The stores, and how many places could not be looked into for more of them, which is told.
    func places() throws -> (places: [StorePlace], problems: Int) {
        if let root {
            guard store.store == nil else {
                throw Failure(
                    .usage, "--root asks all stores below a directory, and --store one: leave one of the two out")
            }
            return try Self.below(root: root)
        }
        let (argument, source) = StorePlace.asked(store.store)
        let full = try StorePlace.full(argument)
        guard let mount = MountEntry.holding(full), mount.isRoot else {
            return ([try StorePlace.find(at: argument, source)], 0)
        }
        let below = try StoresBelow(on: mount, full)
        let places = below.stores.map {
            StorePlace(mount: mount.showing($0.store, at: $0.shown), store: $0.store, shown: $0.shown)
        }
        return (places, below.problems.count)
    }

    /// All stores below a directory, without a mount.
    static func below(root: String) throws -> (places: [StorePlace], problems: Int) {
        let full = try StorePlace.full(root)
        if let mount = MountEntry.on(full), mount.isArtifacts {
            throw Failure(
                .usage,
                "\(root) is on the mount at \(mount.mountPoint), and --root means real directories: use --store \(root)"
            )
        }
        try Preflight.checkRoot(full)
        let below = try StoresBelow(root: full)
        return (below.stores.map { StorePlace(mount: nil, store: $0.store, shown: $0.shown) }, below.problems.count)
    }
}
