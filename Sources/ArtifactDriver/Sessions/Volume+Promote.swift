internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Files and directories of sessions and tests are promoted together (SEMANTICS 2.9): a process says so through `user.artifact.promotions` of
/// `.artifactfs/promotions.jsonl`, where it finds what became of each.
extension Volume {
    /// What a process says.
    private struct Statement {
        var request: PromotionRequest
        var ticket: String
        /// Which files it has looked at.
        var files: String?
        var isTrial: Bool
        /// Names in quarantine, of what is to be published together.
        var kept: [String]
        /// Why that is to be published although it may be cut.
        var despite: String?

        init(_ value: JSONValue, _ caller: Caller) throws(Errno) {
            guard case .object(let facts)? = value["promote"] else { throw Errno.invalidArgument }
            func names(_ member: String) throws(Errno) -> [String] {
                guard case .array(let values)? = facts[member] else { return [] }
                let names = values.compactMap(\.string)
                guard names.count == values.count else { throw Errno.invalidArgument }
                return names
            }
            request = PromotionRequest(
                paths: try names("paths"), scopes: try names("scopes"), keeps: facts["keep"] == .bool(true))
            kept = try names("kept")
            guard kept.isEmpty != (request.paths.isEmpty && request.scopes.isEmpty) else { throw Errno.invalidArgument }
            despite = facts["despite"]?.string
            guard despite?.utf8.count ?? 0 <= KeptBytes.longestReason else { throw Errno.invalidArgument }
            request.check = facts["check"]?.string
            // Who may read a file has a copy of it as its own; root's belongs to whom the file does.
            if caller.user != 0 { request.owner = (caller.user, caller.group) }
            ticket = facts["ticket"]?.string ?? ""
            files = facts["files"]?.string
            isTrial = facts["dry_run"] == .bool(true)
        }
    }

    /// - Parameter value: `{"promote": {"paths": [...], "scopes": [...], "keep": ..., "check": ..., "files": ..., "ticket": ..., "dry_run": ...}}`.
    /// - Throws: `EINVAL` of anything else; the errno of the first that refuses, when something does.
    func promote(_ value: UnsafeRawBufferPointer, for caller: Caller) throws(Errno) {
        guard !store.isReadOnly else { throw Errno.readOnlyFileSystem }
        guard let value = JSONValue(parsing: Array(value)) else { throw Errno.invalidArgument }
        var statement = try Statement(value, caller)
        guard statement.kept.isEmpty else { return try publishKept(statement, caller) }
        var set = try rights.acting(for: caller) { () throws(Errno) in store.promotionSet(statement.request) }
        // A program that has just closed one may not have been told of yet.
        if caller.canWait, set.members.contains(where: { isWritten($0) }) { throw Errno.answerLater }
        // It reads all of them, and waits for the disk.
        if caller.isMovable { throw Errno.takesLong }
        try rights.acting(for: caller) { () throws(Errno) in store.lookInside(&set) }
        let run = jobs?.run(for: caller)
        statement.request.run = run?.inRecord
        for index in set.members.indices {
            judge(index, of: &set, run, caller)
        }
        let files = try set.state()
        if let seen = statement.files, seen != files {
            for index in set.members.indices {
                set.refuse(
                    index,
                    PromotionFault(
                        .system(.staleNFSFileHandle), "something changed after the check of the files had begun"))
            }
        }
        if statement.isTrial {
            _ = store.judge(&set, statement.request)
        } else {
            let frozen = freeze(&set)
            let done = make(&set, statement.request, caller)
            if !done { tell(set, caller) }
            thaw(frozen, set)
            tellChanged(set.members.filter { $0.promotion != nil }.flatMap { [$0.from, $0.to].compactMap { $0 } })
        }
        promotionAnswers.add(
            set, ticket: statement.ticket, state: files, isTrial: statement.isTrial, user: caller.user)
        if let fault = set.members.first(where: { $0.fault != nil })?.fault, !statement.isTrial {
            throw fault.refusal.errno
        }
        guard !set.members.isEmpty else { throw Errno.noData }
    }

    /// What was kept back is published together (SEMANTICS 3.1).
    private func publishKept(_ statement: Statement, _ caller: Caller) throws(Errno) {
        // It reads all of them, and waits for the disk.
        if caller.isMovable { throw Errno.takesLong }
        var entries: [QuarantineEntry] = []
        var missing: [PromotionSet.Promotee] = []
        for name in statement.kept {
            do throws(Errno) { entries.append(try keptFile(name, caller)) } catch {
                missing.append(
                    .init(missing: StoreLayout.quarantineDirectory + "/" + name, PromotionFault(.system(error))))
            }
        }
        var set = store.keptSet(entries, by: caller.user) { entry in
            statement.despite
                ?? despite[entry.id, entry.identity].map { String(decoding: $0, as: UTF8.self) }
        }
        set.add(missing)
        store.lookInside(&set)
        for index in set.members.indices {
            guard let promotion = set.members[index].promotion else { continue }
            do throws(Errno) {
                try rights.checkCreation(in: promotion.target.directory.nearestExisting(), for: caller)
            } catch { set.refuse(index, PromotionFault(.system(error), "\(error)")) }
        }
        let files = try set.state()
        if statement.isTrial {
            _ = store.judge(&set, statement.request)
        } else {
            if store.promote(&set, statement.request, by: .init()) {
                counters.sealed.add(set.members.count, ordering: .relaxed)
                for entry in entries { despite.remove(entry.id, entry.identity) }
                for member in set.members where member.isDirectory && !member.isCopied {
                    // What is in it, and known, is there from now on.
                    guard let found = member.found else { continue }
                    _ = artifactDirectories.directory(found.identity, .published(.production))
                }
            } else {
                tell(set, caller)
            }
            tellChanged(set.members.compactMap(\.to))
        }
        promotionAnswers.add(
            set, ticket: statement.ticket, state: files, isTrial: statement.isTrial, user: caller.user)
        if let fault = set.members.first(where: { $0.fault != nil })?.fault, !statement.isTrial {
            throw fault.refusal.errno
        }
        guard !set.members.isEmpty else { throw Errno.noData }
    }

    /// What the store does not know of: who has it open here, what the caller may, and which run that is of.
    private func judge(
        _ index: Int, of set: inout PromotionSet, _ run: JobRun?, _ caller: Caller
    ) {
        let member = set.members[index]
        guard member.fault == nil, let promotion = member.promotion, let found = member.found else { return }
        if run?.holder != nil {
            return set.refuse(
                index,
                PromotionFault(
                    .inHoldingRun,
                    "in a run that is all or nothing 'mv' promotes: what it moves is published when the run has ended"))
        }
        if isWritten(member) {
            return set.refuse(
                index, PromotionFault(.isOpen, "a program has it open to write"))
        }
        do throws(Errno) {
            if !member.staysThere {
                try rights.checkRemoval(of: found.attributes, from: promotion.source.directory, for: caller)
                if member.isDirectory, found.attributes.st_uid != caller.user {
                    // It gets another `..` (rename(2)).
                    try rights.checkCreation(
                        in: promotion.source.directory.directory(promotion.source.name), for: caller)
                }
            }
            try rights.checkCreation(in: promotion.target.directory.nearestExisting(), for: caller)
        } catch { set.refuse(index, PromotionFault(.system(error), "\(error)")) }
    }

    /// A directory in which nothing changes through this mount while it is promoted.
    private struct Frozen {
        let index: Int
        let artifact: ArtifactDirectory
        let scope: Scope
        /// What the kernel knows of it.
        let node: FreeNode?
    }

    /// From here on nothing in the directories changes that are to move. What stays where it is is looked at again when it was copied.
    private func freeze(_ set: inout PromotionSet) -> [Frozen] {
        guard set.isPromotable else { return [] }
        var frozen: [Frozen] = []
        for index in set.members.indices {
            let member = set.members[index]
            guard !member.staysThere, let artifact = artifact(of: member), let found = member.found else { continue }
            let scope = artifact.scope
            guard artifact.beginSealing() else {
                set.refuse(index, PromotionFault(.isOpen, "something in it is open for writing"))
                continue
            }
            let node = namespace.freeNode(found.identity)
            try? node?.withDescriptor { _ in }
            frozen.append(Frozen(index: index, artifact: artifact, scope: scope, node: node))
        }
        return frozen
    }

    private func thaw(_ frozen: [Frozen], _ set: PromotionSet) {
        for one in frozen {
            let member = set.members[one.index]
            guard member.isPromoted, !member.isCopied, let target = member.promotion?.target else {
                one.artifact.endSealing(in: one.scope)
                continue
            }
            one.artifact.endSealing(in: .production)
            guard let node = one.node else { continue }
            wasFound(node, target.name, in: .top(target.directory))
            // Nobody has the right to write any more.
            connection?.invalidate(node.id, andData: false)
        }
    }

    /// What all in a directory has in common; nil of a file.
    private func artifact(of member: PromotionSet.Promotee) -> ArtifactDirectory? {
        guard member.isDirectory, let found = member.found,
            case .typed(let scope, _, _) = store.schema.locate(member.from).directory
        else { return nil }
        return artifactDirectories.directory(found.identity, .published(scope))
    }

    /// Whether somebody has a file open to write through this mount, or something in a directory.
    private func isWritten(_ member: PromotionSet.Promotee) -> Bool {
        if let artifact = artifact(of: member) { return artifact.isChanging }
        guard let place = place(of: member.from), let number = namespace.number(of: place.name, in: place.directory.id),
            case .artifact(let file)? = namespace[number]
        else { return false }
        return file.state.withLock { !$0.writers.isEmpty }
    }

    private func place(of path: String) -> (directory: TreeDirectory, name: String)? {
        let (location, rest) = store.schema.locate(path)
        guard rest.count == 1, let name = rest.first, case .typed = location else { return nil }
        return (directoryNode(location), name)
    }

    private func make(_ set: inout PromotionSet, _ request: PromotionRequest, _ caller: Caller) -> Bool {
        var promoter = ArtifactRecord()
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid) = (caller.user, caller.group)
        writer.pid = caller.process > 0 ? caller.process : nil
        promoter.writer = writer
        if let process = processes.watch(caller.process) {
            process.awaitFacts(atMost: Self.patience)
            process.facts?.fill(&promoter)
        }
        let members = set.members
        // Who had made a file in a session has made it; who moved it has promoted it.
        let made = members.map { member in
            member.found.flatMap { processes.makers(of: $0.identity, ReadFile.BytesState($0.attributes)) }
        }
        let isDone = store.promote(&set, request, by: promoter.writer ?? .init()) { index, one in
            (one.record.job, one.record.code) = (promoter.job, promoter.code)
            guard let known = made[index], let maker = known.makers.first, let facts = maker.facts else { return }
            one.record.origin?.promoter = one.record.writer
            one.record.writer = nil
            facts.fill(&one.record)
            one.record.writer?.uid = facts.rights?.user
            one.record.writer?.gid = facts.rights?.group
            one.record.writer?.exit = maker.ending.exit ?? .unknown
            noteUsed(known.makers.map { .init(memory: $0.memory, time: known.time) }, in: &one)
        }
        counters.sealed.add(set.members.count { $0.isPromoted }, ordering: .relaxed)
        return isDone
    }

    /// Each refusal is kept with its reason.
    private func tell(_ set: PromotionSet, _ caller: Caller) {
        for member in set.members {
            guard let fault = member.fault else { continue }
            _ = denials.add(
                fault.refusal, operation: "promote", path: member.from, caller: caller, detail: fault.detail)
        }
    }
}
