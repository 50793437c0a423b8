internal import ArtifactFormats
public import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The steps of promoting together, before those of publishing together; a crash can come after each.
///
/// | step | what is on disk then | what recovery makes of it |
/// | --- | --- | --- |
/// | `announced` | files and directories where they are, and a `promotion-intent` line of each | nothing |
/// | `staged` | the same, one or more in staging | each is put back |
enum PromotionStep: String, CaseIterable, Sendable {
    case announced
    case staged
}

/// Promotes files and directories of sessions and tests all or none (SEMANTICS 2.9).
extension Store {
    /// Judges all of them and reads them whole. Nothing moves.
    public func judge(_ set: inout PromotionSet, _ request: PromotionRequest) -> [Int: CheckedContents] {
        var checked: [Int: CheckedContents] = [:]
        var targets: [String: Int] = [:]
        for index in set.members.indices {
            guard set.members[index].fault == nil, let promotion = set.members[index].promotion else { continue }
            let destination = promotion.destination
            if let other = targets.updateValue(index, forKey: destination.path) {
                let detail = "\(set.members[other].from) and \(set.members[index].from) would have one name"
                set.refuse(other, PromotionFault(.sameName, detail))
                set.refuse(index, PromotionFault(.sameName, detail))
                continue
            }
            do throws(PromotionObstacle) {
                if try promotion.isTaken(),
                    let refusal = OverwritePolicy.judgePromotion(
                        of: .file(links: 1), named: .artifact(realName: destination.realName), isTaken: true,
                        staysThere: set.members[index].staysThere)
                {
                    set.refuse(index, PromotionFault(refusal))
                    continue
                }
                guard destination.isDirectory else {
                    checked[index] = try promotion.checkWhole(staysThere: set.members[index].staysThere)
                    continue
                }
                if let fault = try judge(set.members[index], promotion) { set.refuse(index, fault) }
            } catch { set.refuse(index, PromotionFault(error)) }
        }
        return checked
    }

    /// Reads a directory whole.
    private func judge(
        _ member: PromotionSet.Promotee, _ promotion: Promotion
    ) throws(PromotionObstacle) -> PromotionFault? {
        guard let look = member.look else {
            return PromotionFault(.system(.resourceBusy), "nobody has looked at what is in it")
        }
        guard member.staysThere || look.modes != nil else {
            return PromotionFault(
                .keptBack(.failedCheck),
                "too much in it has permissions of its own to be put back as it was; --keep promotes a copy")
        }
        guard try promotion.checkDirectory(staysThere: member.staysThere) == look.digest else {
            return PromotionFault(.system(.staleNFSFileHandle), "something in it changed while it was being checked")
        }
        return nil
    }

    /// Judges them, and publishes them all or none. What is not published is where it was, with its permissions; where something else has its
    /// name by then its fault says where its bytes are.
    ///
    /// - Parameters:
    ///   - writer: who promotes them.
    ///   - complete: adds to what is known of one of them, by its place in the set.
    /// - Returns: whether they are published.
    public func promote(
        _ set: inout PromotionSet, _ request: PromotionRequest, by writer: ArtifactRecord.Writer,
        complete: (Int, inout PublishRequest) -> Void = { _, _ in }
    ) -> Bool {
        guard let writable else {
            for index in set.members.indices {
                set.refuse(index, PromotionFault(.system(.readOnlyFileSystem), "the store was opened read-only"))
            }
            return false
        }
        let held = hold(&set)
        defer { withExtendedLifetime(held) {} }
        let checked = judge(&set, request)
        guard set.isPromotable else { return false }
        let promotions = set.members.compactMap(\.promotion)
        guard promotions.count == set.members.count else { return false }
        noteCopies(&set)
        var copies: [Int: SealedCopy] = [:]
        var staged: [RealFile] = []
        // What is not promoted gives its name back.
        defer { if !set.members.allSatisfy(\.isPromoted) { for file in staged { writable.staging.release(file) } } }
        for (index, promotion) in promotions.enumerated() {
            let file = writable.staging.unusedName(hint: promotion.destination.path, kind: .artifact)
            do throws(Errno) {
                try writable.staging.reserve(promotion.target, for: file)
                staged.append(file)
            } catch { set.refuse(index, PromotionFault(PromotionObstacle.system(error))) }
        }
        guard set.isPromotable else { return false }
        let intents = zip(set.members, staged).map { intent($0, $1, writable) }
        do throws(Errno) {
            try writable.ledger.append(intents.map { LedgerEntry(.promotionIntent($0)) })
        } catch {
            set.refuse(0, PromotionFault(.system(error), "it could not be recorded in the ledger: \(error)"))
            return false
        }
        writable.ledger.sync(always: true)
        if stops(after: .announced) { return false }
        var came = 0
        for (index, promotion) in promotions.enumerated() {
            do throws(PromotionObstacle) {
                let member = set.members[index]
                if member.isCopied {
                    copies[index] = try SealedCopy(
                        of: promotion.source, seen: promotion.identity, isDirectory: member.isDirectory,
                        to: staged[index], owner: member.staysThere ? request.owner : nil, looked: member.look?.digest)
                } else {
                    try take(promotion, into: staged[index], writable)
                }
                came += 1
                if stops(after: .staged) { return false }
            } catch {
                set.refuse(index, PromotionFault(error))
                break
            }
        }
        var requests: [PublishRequest] = []
        let now = Clock.now()
        for (index, promotion) in promotions.enumerated() where came == promotions.count {
            var one = promotion.request(staged[index], by: writer, at: now)
            one.checked = checked[index]
            if !set.members[index].isCopied { one.looked = set.members[index].look?.digest }
            one.origin = nil
            if let check = request.check { one.record.origin?.check = check }
            one.record.run = request.run
            complete(index, &one)
            if let kept = set.members[index].kept {
                let artifact = one.record.artifact
                one.record = kept.record
                one.record.artifact = artifact
            }
            requests.append(one)
        }
        var stuck: Set<Int> = []
        var reason = "the others were not ready"
        if came == promotions.count {
            switch publishTogether(requests, run: "promotion", of: "what was promoted together") {
            case .sealed:
                for index in set.members.indices {
                    set.members[index].isPromoted = true
                    if !set.members[index].staysThere { copies[index]?.removeOriginal(by: writable.staging) }
                }
                forget(set.keptEntries)
                return true
            case .refused(let faults, let published):
                // A test stopped there.
                if faults.isEmpty, published.isEmpty { return false }
                stuck = published
                for fault in faults {
                    set.refuse(fault.index, PromotionFault(.keptBack(fault.rule), fault.reason))
                }
            }
        }
        if let first = set.members.first(where: { $0.fault != nil }) {
            reason = "\(first.from): \(first.fault?.detail ?? "")"
        }
        for index in stuck { set.members[index].isPromoted = true }
        for index in (0..<came).reversed() where !stuck.contains(index) {
            if let place = putBack(intents[index], staged[index], promotions[index], reason, writable) {
                let fault = set.members[index].fault
                set.members[index].fault = PromotionFault(
                    fault?.refusal ?? OverwritePolicy.judgePromotion(.keptBack(.storeFailed)),
                    [fault?.detail, place].compactMap { $0 }.joined(separator: "; "))
            }
        }
        settle()
        return false
    }

    private func intent(
        _ member: PromotionSet.Promotee, _ staged: RealFile, _ writable: Writable
    ) -> PromotionIntent {
        let (location, _) = schema.locate(member.from)
        let parent = member.from.split(separator: "/").dropLast().joined(separator: "/")
        return PromotionIntent(
            mount: writable.staging.mountID, staged: staged.name, path: member.to ?? "", from: member.from,
            // What was kept back has one path on the mount and in the store.
            directory: member.kept == nil ? StoreLayout.directory(of: location) : parent,
            name: member.promotion?.source.name ?? "",
            inode: UInt64(member.found?.attributes.st_ino ?? 0), mode: member.found?.attributes.permissions ?? 0,
            isCopy: member.isCopied, isDirectory: member.isDirectory,
            modes: member.isCopied ? nil : member.look?.modes)
    }

    /// Moves a file into staging; another one that has its name by then stays there, or goes back.
    private func take(
        _ promotion: Promotion, into staged: RealFile, _ writable: Writable
    ) throws(PromotionObstacle) {
        do throws(Errno) {
            guard try promotion.source.look().identity == promotion.identity else { throw Errno.staleNFSFileHandle }
            do throws(Errno) {
                if promotion.destination.isDirectory {
                    try promotion.source.moveWhole(to: staged)
                } else {
                    try writable.staging.move(promotion.source, to: staged)
                }
            } catch { guard staged.exists else { throw error } }
            do throws(Errno) {
                // Replaced outside in that moment: nobody judged that one.
                guard try staged.look().identity == promotion.identity else { throw Errno.staleNFSFileHandle }
            } catch {
                if !putBack(staged, to: promotion.source) {
                    _ = try? quarantine(
                        staged, reason: "it was moved by mistake and could not be put back",
                        record: ArtifactRecord(path: promotion.origin))
                }
                throw error
            }
        } catch { throw .system(error) }
    }

    /// Notes of which of them copies are published, as programs of other hosts may have them open.
    private func noteCopies(_ set: inout PromotionSet) {
        var known: [Substring: Bool] = [:]
        for index in set.members.indices where !set.members[index].isCopied {
            let from = set.members[index].from
            // The same for all of a session: mode and name.
            let scope = from[..<(from.split(separator: "/", maxSplits: 2).dropFirst().first?.endIndex ?? from.endIndex)]
            let isCopied = known[scope] ?? isCopied(from: from)
            known[scope] = isCopied
            set.members[index].isCopied = isCopied
        }
    }

    /// Puts back what is not published.
    ///
    /// - Returns: where its bytes are, in words, when that is not where it was.
    private func putBack(
        _ intent: PromotionIntent, _ staged: RealFile, _ promotion: Promotion, _ reason: String, _ writable: Writable
    ) -> String? {
        let isBack: Bool
        if intent.isCopy {
            if intent.isDirectory { try? DirectoryTree.remove(staged) } else { try? staged.unlink() }
            isBack = !staged.exists
        } else {
            try? staged.setMode(intent.mode)
            isBack = putBack(staged, to: promotion.source)
        }
        writable.staging.release(staged)
        let reason = "nothing of what was promoted together was published: " + reason
        guard !isBack else {
            let line = LedgerEvent.NotPublished(
                mount: intent.mount, staged: intent.staged, reason: reason, rule: Rule.failedCheck.rawValue,
                record: intent.record)
            let entry = LedgerEntry(.restored(line))
            do throws(Errno) { try writable.ledger.append([entry]) } catch { writable.ledger.appendLater([entry]) }
            return nil
        }
        do throws(Errno) {
            let name = try quarantine(
                staged, reason: reason, rule: .failedCheck, record: ArtifactRecord(intent.record))
            return "its bytes are kept in .artifactfs/quarantine/\(name)"
        } catch {
            writable.staging.keepForRecovery()
            return "its bytes are kept in .artifactfs/staging/\(writable.staging.mountID)/\(staged.name)"
        }
    }

    private func stops(after step: PromotionStep) -> Bool { stopPromotingAfter.withLock { $0 == step } }
}
