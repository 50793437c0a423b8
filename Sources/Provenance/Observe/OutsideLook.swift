internal import Synchronization
internal import SystemCalls
package import SystemPackage

/// That files outside of the store are looked at, and how well.
package struct OutsideLook: Sendable, Hashable {
    /// The directories that were named; none for what is looked at where nothing is named.
    package let directories: [String]
    /// When some may have been missed, last, in nanoseconds since the machine's start; 0 for never.
    package let lastLoss: UInt64

    /// A look.
    package init(directories: [String], lastLoss: UInt64 = 0) {
        (self.directories, self.lastLoss) = (directories, lastLoss)
    }
}

/// Most observers see nothing of what is not on the mount.
extension ProcessObserver {
    package var outside: OutsideLook? { nil }

    package func catchUp() {}

    package func stopObserving() {}
}

extension LinuxProcesses {
    /// Begins to follow what is opened outside of the mount; once.
    ///
    /// - Parameters:
    ///   - store: the store's directory.
    ///   - shown: what a file is that is shown on a read-only mount of the store.
    /// - Throws: `EPERM` for who may not, and what the kernel says of a directory that was named.
    package func observe(
        _ places: ObservedPlaces, store: String, shown: @escaping OutsideObserver.ShownFile
    ) throws(Errno) {
        // Whoever is looked at waits for nobody, and is soon gone.
        let reader = PatientReader(mostAtWork: 2, mostThreads: 16) { body in
            WorkerThread(name: "artifactfs-open") {
                WorkerThread.hurry()
                body()
            }
        }
        let observer = try OutsideObserver(places, store: store, model, reader, shown: shown)
        try observer.start()
        outsideObserver.withLock { $0 = observer }
    }

    package var outside: OutsideLook? {
        outsideObserver.withLock { $0 }.map { OutsideLook(directories: $0.places.directories, lastLoss: $0.lastLoss) }
    }

    package func catchUp() { outsideObserver.withLock { $0 }?.catchUp() }

    package func stopObserving() {
        let observer = outsideObserver.withLock { observer in
            defer { observer = nil }
            return observer
        }
        observer?.stop()
    }
}
