internal import Artifacts
public import ArtifactStore
internal import FuseKernel
internal import Glibc
public import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Old temporary files, and what other mounts left that were killed: looked for when the store is opened, and from then on with a
/// close, once in a while. A mount that nobody uses has no reason to wake.
extension Volume {
    /// The time from one look to the next at least, in nanoseconds; nil where nothing may be changed.
    static func sweepInterval(of store: Store) -> UInt64? {
        store.isReadOnly ? nil : UInt64(min(store.schema.transientSeconds, 3600)) * 1_000_000_000
    }

    /// Called with each close.
    func sweepIfDue() {
        let due = nextSweep.load(ordering: .relaxed)
        let now = Clock.monotonic()
        guard now >= due, let interval = Self.sweepInterval(of: store),
            nextSweep.compareExchange(expected: due, desired: now + interval, ordering: .relaxed).exchanged
        else { return }
        seals.submit(isLong: true) { self.sweep() }
    }

    /// Removes the artifacts that nothing was written to and that nobody has open: an empty file is no result.
    ///
    /// Scripts make a file and write it later, so it stays as long as a temporary file would, or until the mount ends.
    ///
    /// - Parameters:
    ///   - keepingSeconds: for how long they are kept; the schema's time for temporary files when nil.
    ///   - isAtLast: the mount ends: all of them, and nobody has one open.
    func removeEmpty(keepingSeconds: Int? = nil, isAtLast: Bool = false) {
        for file in namespace.pinnedArtifacts {
            guard let place = namespace.place(of: file.id), place.parent.isProduction else { continue }
            let path = place.parent.path(of: place.name)
            let removed = file.state.withLock { state -> (RealFile, ArtifactFile.Birth?)? in
                guard case .staged(let staged) = state.phase, !state.isTransient,
                    isAtLast || !state.open.isOpen && store.isOld(staged, keepingSeconds: keepingSeconds),
                    // Programs go on writing where the kernel moves the bytes.
                    (try? staged.attributes().st_size) == 0, !isAtLast || !Staging.hasWriter(staged)
                else { return nil }
                let birth = state.birth
                if isAtLast {
                    guard (try? store.staging?.remove(staged)) != nil else { return nil }
                    state.phase = .gone
                } else {
                    guard (try? remove(file, &state, place.name, place.parent, for: nil)) != nil else { return nil }
                }
                return (staged, birth)
            }
            guard let (staged, birth) = removed else { continue }
            tellEmpty(path, staged, birth, nil, "it was closed without a byte, and nobody has written to it since")
            guard !isAtLast else { continue }
            namespace.unpin(file.id)
            connection?.invalidate(name: place.name, in: place.parent.id)
        }
    }

    /// Removes this mount's old temporary files, and settles what killed mounts left.
    ///
    /// - Parameter keepingSeconds: for how long temporary files are kept; the schema's time when nil.
    func sweep(keepingSeconds: Int? = nil) {
        for file in namespace.pinnedArtifacts {
            guard let place = namespace.place(of: file.id) else { continue }
            let path = place.parent.path(of: place.name)
            let isRemoved = file.state.withLock { state -> Bool in
                guard case .staged(let staged) = state.phase, state.isTransient, !state.open.isOpen,
                    store.isOld(staged, keepingSeconds: keepingSeconds),
                    let size = try? staged.attributes().st_size,
                    (try? remove(file, &state, place.name, place.parent, for: nil)) != nil
                else { return false }
                store.recordRemoval(of: staged, path: path, size: Int64(size))
                return true
            }
            guard isRemoved else { continue }
            namespace.unpin(file.id)
            connection?.invalidate(name: place.name, in: place.parent.id)
            log.notice("removed an old temporary file", metadata: ["path": "\(path)"])
        }
        removeEmpty(keepingSeconds: keepingSeconds)
        let report = store.recoverAgain(keepingSeconds: keepingSeconds)
        report.write(to: log)
        if !report.wasBusy {
            waiting.noteLeftovers(!report.waiting.isEmpty, now: Clock.monotonic())
            setTimerForWaiting()
        }
    }
}

extension RecoveryReport {
    /// What became of the files of mounts that were killed, for the log.
    ///
    /// - Parameter alsoWaiting: whether what still waits is said too.
    public func write(to log: Logger, alsoWaiting: Bool = true) {
        for path in finished { log.notice("finished publishing after a crash", metadata: ["path": "\(path)"]) }
        for path in quarantined {
            log.warning("the driver ended while it was being written: in quarantine", metadata: ["path": "\(path)"])
        }
        for (path, reason) in waiting.sorted(by: { $0.key < $1.key }) where alsoWaiting {
            log.warning(
                "not published yet: it stays staged and is published by itself when that is over",
                metadata: ["path": "\(path)", "reason": "\(reason)"])
        }
        for path in restored {
            log.notice("the driver ended while it was being promoted: it is back", metadata: ["path": "\(path)"])
        }
        for path in empty { log.warning("nothing was written to it: its name is free", metadata: ["path": "\(path)"]) }
        for path in removed { log.notice("removed an old temporary file", metadata: ["path": "\(path)"]) }
        for problem in problems { log.error("\(problem)") }
    }
}
