internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A new name for an artifact: promotion into production is one, and so is what programs do that save under a temporary name.
extension Volume {
    /// One side of a rename.
    private struct Side {
        let directory: TreeDirectory
        let name: String
        let standing: Standing
        var path: String { directory.path(of: name) }
    }

    func renameArtifact(
        _ name: String, in source: TreeDirectory, to newName: String, in target: TreeDirectory, _ flags: RenameFlags,
        _ caller: Caller
    ) throws(Errno) {
        let from = Side(directory: source, name: name, standing: standing(of: source.scope))
        let to = Side(directory: target, name: newName, standing: standing(of: target.scope))
        if let location = try subdirectory(name, of: source) {
            let verdict = OverwritePolicy.judge(
                .operation(.renameFrom), onTree: location, standing: from.standing, isEmpty: false)
            try enforce(verdict, Operation.renameFrom.rawValue, from.path, caller)
        }
        for side in [from, to] {
            guard let made = madeEntry(side.name, in: side.directory) else { continue }
            try refuseMade(.operation(.renameFrom), made, side.path, caller)
        }
        if try renameArtifactDirectory(name, in: source, to: newName, in: target, flags, caller) { return }
        let file: ArtifactFile
        do throws(Errno) { file = try self.file(name, in: source) } catch .noSuchFileOrDirectory {
            guard try renameLink(name, in: source, to: newName, in: target, flags, caller) else {
                throw Errno.noSuchFileOrDirectory
            }
            return
        }
        defer { namespace.forget(file.id, lookups: 1) }
        var replaced: ArtifactFile?
        if try subdirectory(newName, of: target) != nil { throw Errno.isDirectory }
        do throws(Errno) { replaced = try self.file(newName, in: target) } catch .noSuchFileOrDirectory {}
        defer { if let replaced { namespace.forget(replaced.id, lookups: 1) } }
        try deferIfClosing(file, caller)
        if let replaced { try deferIfClosing(replaced, caller) }

        if flags.contains(.exchange) {
            return try refuseExchange(of: file, from, with: replaced, to, caller)
        }
        if let replaced, flags.contains(.noReplace) || replaced === file {
            if flags.contains(.noReplace) { throw Errno.fileExists }
            return
        }
        if replaced == nil, flags.contains(.noReplace), try siblingLink(newName, in: target) != nil {
            throw Errno.fileExists
        }
        let named = classify(newName, in: target)
        let facts = self.facts(for: caller, file)
        let replacedFacts = replaced.map { self.facts(for: caller, $0) } ?? Facts()
        let run = target.isProduction ? try allOrNothing(caller, to.path, Operation.renameOnto.rawValue) : nil
        let makers = target.isProduction && named != .transient ? self.makers(of: caller) : []
        let plan = try withLocks(file, replaced) { state, other throws(Errno) -> Effect in
            let refused = OverwritePolicy.judgeRename(
                of: state.fileState(standing: from.standing), facts: facts, to: named, in: target.place,
                standing: to.standing, onto: other?.fileState(standing: to.standing),
                otherFacts: replacedFacts)
            if let refused {
                try refuse(refused, from, to, caller, detail: refused.question == .name ? hint(target) : nil)
            }
            // Two names of one file: rename(2) does nothing then.
            if let other, state.isPublished, other.isPublished, let identity = state.identity,
                other.identity == identity
            {
                return Effect()
            }
            let before = Settled(state)
            state.resumeWriting(in: store.staging)
            state.note(makers)
            if let run { state.heldBy = run }
            do throws(Errno) {
                return try move(file, &state, from, onto: replaced, &other, to, named, caller)
            } catch {
                before.restore(&state, store.staging)
                throw error
            }
        }
        if plan.unpinsReplaced, let replaced { namespace.unpin(replaced.id) }
        if plan.unpins { namespace.unpin(file.id) }
        perform(plan.closed, file)
    }

    /// Tells what was refused with the name that it is about.
    private func refuse(
        _ refused: RefusedRename, _ from: Side, _ to: Side, _ caller: Caller, detail: String?
    ) throws(Errno) -> Never {
        try enforce(
            .refused(refused.refusal), refused.operation, refused.question == .source ? from.path : to.path, caller,
            detail: detail)
        throw refused.refusal.errno
    }

    /// What a rename that fails gives back: a file that settled goes on settling, and who tried is no maker of it.
    private struct Settled {
        let wasSettling: Bool
        let end: UInt64
        let window: ArtifactFile.Settling?
        let goesBack: Bool
        let makers: [ArtifactFile.Maker]
        let heldBy: JobRun?

        init(_ state: borrowing ArtifactFile.State) {
            if case .settling = state.phase { wasSettling = true } else { wasSettling = false }
            (end, window, goesBack, makers) = (state.settleEnd, state.settling, state.goesBack, state.makers)
            heldBy = state.heldBy
        }

        func restore(_ state: inout ArtifactFile.State, _ staging: Staging?) {
            (state.makers, state.heldBy) = (makers, heldBy)
            guard wasSettling, case .staged(let real) = state.phase else { return }
            (state.settleEnd, state.settling, state.goesBack) = (end, window, goesBack)
            state.phase = .settling(staging?.finish(real, process: state.lastWriter?.thread ?? 0) ?? real)
        }
    }

    /// What is left to do when the locks are given back.
    private struct Effect: Sendable {
        var closed = Closed.nothing
        var unpins = false
        var unpinsReplaced = false
    }

    /// `mv` of a sealed artifact into an ordinary tree is refused as what it is, and not tried as a copy and a removal.
    func refuseSealedSource(_ name: EntryName, in directory: TreeDirectory, _ caller: Caller) throws(Errno) {
        let name = try text(name)
        let file = try self.file(name, in: directory)
        defer { namespace.forget(file.id, lookups: 1) }
        let standing = self.standing(of: directory.scope)
        let state = file.state.withLock { $0.fileState(standing: standing) }
        try enforce(
            OverwritePolicy.judge(.renameFrom, on: state), Operation.renameFrom.rawValue, directory.path(of: name),
            caller)
    }

    private func refuseExchange(
        of file: ArtifactFile, _ from: Side, with other: ArtifactFile?, _ to: Side, _ caller: Caller
    ) throws(Errno) {
        guard let other else { throw Errno.noSuchFileOrDirectory }
        for (file, side) in [(file, from), (other, to)] {
            let state = file.state.withLock { $0.fileState(standing: side.standing) }
            let verdict = OverwritePolicy.judge(.exchange, on: state)
            // A sealed or frozen side is the better reason.
            if verdict.refusal?.errno == .notPermitted {
                try enforce(verdict, Operation.exchange.rawValue, side.path, caller)
            }
        }
        let state = file.state.withLock { $0.fileState(standing: from.standing) }
        try enforce(OverwritePolicy.judge(.exchange, on: state), Operation.exchange.rawValue, from.path, caller)
    }

    /// Moves the bytes and the name. Locks are held and the policy has agreed.
    ///
    /// Whatever can fail comes first, and of that the rename of the real file last: what is replaced goes with it or after it.
    private func move(
        _ file: ArtifactFile, _ state: inout ArtifactFile.State, _ from: Side, onto replaced: ArtifactFile?,
        _ other: inout ArtifactFile.State?, _ to: Side, _ named: NameClass, _ caller: Caller
    ) throws(Errno) -> Effect {
        var effect = Effect()
        let isStagedName = to.directory.isProduction || named == .transient
        // Staging is the driver's: what the caller may do is asked of the directories that the names are in.
        let (source, target) = (
            try from.directory.real.nearestExisting(), try to.directory.real.nearestExisting()
        )
        // Not from one session to another either, where nobody would know of it any more.
        if state.isPublished, isStagedName || from.directory.scope != to.directory.scope,
            let refused = store.refusalToMove(from: from.path)
        {
            try refuse(refused, from, to, caller, detail: Self.inReachOfOthers)
        }
        // Read before anything is moved: a file whose size is not known is not taken for an empty one.
        var size: Int64 = 0
        if !state.isPublished || isStagedName {
            let attributes = try realAttributes(of: file, state)
            size = Int64(attributes.st_size)
            // A second name would stay behind, through which its bytes could change.
            if state.isPublished,
                let refused = OverwritePolicy.judgeMoving(
                    isRegular: attributes.isRegular, links: UInt64(attributes.st_nlink))
            {
                try refuse(refused, from, to, caller, detail: nil)
            }
            try rights.checkRemoval(of: attributes, from: source, for: caller)
            try rights.checkCreation(in: target, for: caller)
        }
        if let other { try checkRemovalOfStaged(other, to.directory, for: caller) }

        if isStagedName {
            try moveToStaging(file, &state, from, onto: other, to, named, caller, size: size)
        } else {
            guard case .artifact(let realName) = named else { throw Errno.invalidArgument }
            let destination = RealFile(directory: try ensure(to.directory), name: realName)
            if case .staged = state.phase { effect.unpins = true }
            try moveToRealPath(&state, from, onto: other, destination, target, caller)
        }

        if let replaced { effect.unpinsReplaced = end(replaced, &other) }
        state.isTransient = named == .transient
        state.isHeld = false
        namespace.move(file.id, to: to.name, in: to.directory.id)
        effect.closed = publishesNow(&state, to, caller, size: size)
        return effect
    }

    static let inReachOfOthers = "a program of another host may have it open, which nobody sees from here"

    /// To a name of production, or to a transient one: such files are staged.
    private func moveToStaging(
        _ file: ArtifactFile, _ state: inout ArtifactFile.State, _ from: Side, onto other: ArtifactFile.State?,
        _ to: Side, _ named: NameClass, _ caller: Caller, size: Int64
    ) throws(Errno) {
        var former: RealFile?
        if case .staged(let file)? = other?.phase { former = file }
        let isChecked = state.writers.isEmpty
        switch state.phase {
        case .staged(let staged):
            if to.directory.isProduction, named != .transient, isChecked {
                // The store did not take all that was written to it, and who wrote was told so.
                if let spoiled = state.spoiled, spoiled.rule != .makerFailed {
                    try enforce(
                        .refused(.ofPublishing(spoiled.rule)), Operation.renameOnto.rawValue, to.path, caller,
                        detail: spoiled.reason)
                }
                try checkBeforePublishing(staged, to, caller)
            }
            let renamed = try restage(staged, to, named, replacing: former)
            state.phase = .staged(renamed)
        case .published:
            guard let real = try view.realFile(from.name, in: from.directory) else { throw Errno.noSuchFileOrDirectory }
            guard let identity = state.identity else { throw Errno.staleNFSFileHandle }
            let staged =
                if let destination = destination(to, named) {
                    try beginPromotion(
                        Promotion(of: real, seen: identity, from: from.path, to: destination, in: store), from, to,
                        isChecked: isChecked, replacing: former, caller, size: size)
                } else {
                    try restage(real, seen: identity, to, named, replacing: former)
                }
            state.phase = .staged(staged)
            let made = (try? staged.attributes()).flatMap { processes.makers(of: identity, ReadFile.BytesState($0)) }
            state.birth = .init(
                path: to.path, caller: caller, run: jobs?.run(for: caller),
                origin: .init(
                    file: real, path: from.path, directory: from.directory.id, name: from.name,
                    maker: made?.makers.first))
            if let made { state.madeFrom = made.makers.map { .init(memory: $0.memory, time: made.time) } }
            namespace.pin(file.id)
            // Handles of a session's files are closed without a word (`OpenTraits.noFlush`): how their processes end is watched.
            for index in state.writers.indices {
                let (known, thread) = (state.writers[index].watch, state.writers[index].thread)
                let watch = known ?? processes.watch(thread)
                state.writers[index].watch = watch
                state.writers[index].isOfSession = false
                state.note([.init(role: .writer, watch: watch, thread: thread)])
            }
        case .former, .settling, .sealing, .discarded, .gone: throw Errno.noSuchFileOrDirectory
        }
    }

    /// To a name of a session or a test: the rename itself replaces what is at the real path.
    private func moveToRealPath(
        _ state: inout ArtifactFile.State, _ from: Side, onto other: ArtifactFile.State?, _ destination: RealFile,
        _ target: Directory, _ caller: Caller
    ) throws(Errno) {
        switch state.phase {
        case .staged(let staged):
            let identity = try staged.look().identity
            if let other, other.isPublished {
                try rights.checkRemoval(of: destination.attributes(), from: target, for: caller)
            }
            try staged.rename(to: destination, seen: identity)
            state.identity = identity
            store.staging?.release(staged)
        case .published:
            guard let real = try view.realFile(from.name, in: from.directory) else {
                throw Errno.noSuchFileOrDirectory
            }
            let identity = try real.look().identity
            guard identity == state.identity else { throw Errno.staleNFSFileHandle }
            try rights.acting(for: caller) { () throws(Errno) in try real.rename(to: destination, seen: identity) }
        case .former, .settling, .sealing, .discarded, .gone: throw Errno.noSuchFileOrDirectory
        }
        state.phase = .published
        state.birth = nil
        (state.heldBy, state.isHeld) = (nil, false)
    }

    /// What was replaced is no file of the mount's any more, now that nothing can fail. A staged one goes by itself; one that cannot be
    /// removed is left to recovery.
    ///
    /// - Returns: whether it was pinned and the caller must unpin it.
    private func end(_ replaced: ArtifactFile, _ other: inout ArtifactFile.State?) -> Bool {
        guard let phase = other?.phase else { return false }
        other?.phase = .gone
        guard case .staged(let staged) = phase else { return false }
        try? store.staging?.remove(staged)
        return true
    }

    /// The artifact that a file becomes under a new name; nil for a transient one.
    private func destination(_ to: Side, _ named: NameClass) -> Promotion.Destination? {
        guard case .artifact = named, to.directory.isProduction,
            case .typed(_, let layer, let type) = to.directory.location
        else { return nil }
        return Promotion.Destination(to.name, of: type, in: layer)
    }

    /// A name in staging for a file that is renamed. A valid production name is taken in all mounts of the store.
    private func restage(
        _ file: RealFile, seen identity: FileIdentity? = nil, _ to: Side, _ named: NameClass,
        replacing former: RealFile?
    ) throws(Errno) -> RealFile {
        try store.restage(
            file, seen: identity, as: to.path, named == .transient ? .transient : .artifact,
            for: target(named, in: to.directory), replacing: former)
    }

    /// Checks a session's or a test's file and moves it into staging.
    private func beginPromotion(
        _ promotion: Promotion, _ from: Side, _ to: Side, isChecked: Bool, replacing former: RealFile?,
        _ caller: Caller, size: Int64
    ) throws(Errno) -> RealFile {
        if isChecked, caller.isMovable, let check = promotion.destination.check, takesLong(toCheck: size, check) {
            throw Errno.takesLong
        }
        do throws(PromotionObstacle) {
            if try !promotion.checkQuickly(contents: isChecked) { noteUnknown() }
            return try promotion.begin(replacing: former)
        } catch {
            switch error {
            case .refused(let refused, let detail): try refuse(refused, from, to, caller, detail: detail)
            case .stillOpen: throw Errno.resourceBusy
            case .system(let errno): throw errno
            }
        }
    }

    /// A file that came to a valid production name with no writer is published; without bytes it is empty and waits.
    private func publishesNow(
        _ state: inout ArtifactFile.State, _ to: Side, _ caller: Caller, size: Int64
    ) -> Closed {
        guard size > 0, to.directory.isProduction, !state.isTransient, state.writers.isEmpty,
            case .staged(let staged) = state.phase
        else { return .nothing }
        state.goesBack = true
        let writer = ArtifactFile.Writer(
            handle: Self.readerHandle, thread: caller.process, isFlushed: true, closer: caller.process,
            ending: .running,
            watch: processes.watch(caller.process),
            program: processes.program(ofThread: caller.process))
        return conclude(&state, staged, bytes: size, writer: writer)
    }

    /// The bounded checks, while the rename can still be refused and nothing is lost.
    private func checkBeforePublishing(_ real: RealFile, _ to: Side, _ caller: Caller) throws(Errno) {
        guard let check = contentCheck(to.name, in: to.directory) else { return }
        let descriptor = try real.open(O_RDONLY | O_NOFOLLOW)
        defer { try? descriptor.close() }
        if caller.isMovable, takesLong(toCheck: descriptor, check) { throw Errno.takesLong }
        if let reason = try quickProblem(descriptor, check) {
            try enforce(
                .refused(.ofPublishing(.failedCheck)), Operation.renameOnto.rawValue, to.path, caller,
                detail: reason)
        }
    }

    /// Runs with one or two files locked, the lower id first.
    private func withLocks<Result: Sendable>(
        _ file: ArtifactFile, _ other: ArtifactFile?,
        _ body: (inout ArtifactFile.State, inout ArtifactFile.State?) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard let other else {
            return try file.state.withLock { state throws(Errno) -> Result in
                var none: ArtifactFile.State?
                return try body(&state, &none)
            }
        }
        if file.id.rawValue < other.id.rawValue {
            return try file.state.withLock { state throws(Errno) -> Result in
                try other.state.withLock { otherState throws(Errno) -> Result in
                    var optional: ArtifactFile.State? = otherState
                    defer { if let optional { otherState = optional } }
                    return try body(&state, &optional)
                }
            }
        }
        return try other.state.withLock { otherState throws(Errno) -> Result in
            try file.state.withLock { state throws(Errno) -> Result in
                var optional: ArtifactFile.State? = otherState
                defer { if let optional { otherState = optional } }
                return try body(&state, &optional)
            }
        }
    }
}
