public import ArtifactRecords
public import Artifacts
internal import Glibc
public import SystemCalls
public import SystemPackage

/// What somebody wants promoted together.
public struct PromotionRequest: Sendable {
    /// Artifacts of sessions and tests, by their paths on the mount.
    public var paths: [String]
    /// Sessions and tests of which all artifacts are meant, by their paths on the mount.
    public var scopes: [String]
    /// Whether the files stay where they are, and copies are promoted.
    public var keeps: Bool
    /// The check that they have passed besides their types', as it was named.
    public var check: String?
    /// The run that they are promoted for.
    public var run: ArtifactRecord.ExperimentRun?
    /// Whose copies are; nil for the owner of what is copied.
    public var owner: (uid: UInt32, gid: UInt32)?

    /// A request.
    public init(paths: [String], scopes: [String] = [], keeps: Bool = false) {
        (self.paths, self.scopes, self.keeps) = (paths, scopes, keeps)
    }
}

/// Why a file is not promoted.
public struct PromotionFault: Error, Sendable {
    /// What refuses it.
    public let refusal: Refusal
    /// What the rule does not say.
    public let detail: String?

    /// A fault.
    public init(_ refusal: Refusal, _ detail: String? = nil) { (self.refusal, self.detail) = (refusal, detail) }

    /// What is in its way.
    public init(_ trouble: PromotionTrouble, _ detail: String? = nil) {
        self.init(OverwritePolicy.judgePromotion(trouble), detail)
    }

    init(_ obstacle: PromotionObstacle) {
        switch obstacle {
        case .refused(let refused, let detail): self.init(refused.refusal, detail)
        case .stillOpen: self.init(.isOpen, "a program has it open to write, or mapped")
        case .system(.fileExists): self.init(.anotherWriter)
        case .system(.staleNFSFileHandle):
            self.init(.system(.staleNFSFileHandle), "another file has its name by now")
        case .system(.improperLink):
            self.init(
                .farAway, "it is on another file system than the store's .artifactfs; --keep promotes a copy")
        case .system(let errno): self.init(.system(errno), "\(errno)")
        }
    }
}

/// Files and directories of sessions and tests that become artifacts of production together, or not at all.
public struct PromotionSet: Sendable {
    /// One of them.
    public struct Promotee: Sendable {
        /// The path on the mount that it has.
        public let from: String
        /// The path on the mount that it is to have; nil where there is none.
        public var to: String? { promotion?.destination.path }
        /// In bytes; of a directory what was looked at of it has together (``Store/lookInside(_:)``).
        public internal(set) var size: Int64
        /// What it is; nil of what was not found or is nothing that can be promoted.
        public let found: FoundFile?
        /// Its way; nil where there is none.
        public let promotion: Promotion?
        /// Whether it stays where it is and a copy is promoted.
        public let staysThere: Bool
        /// Whether a copy is published: of what stays, and of what a program of another host may have open.
        public internal(set) var isCopied: Bool
        /// Why it is not promoted.
        public var fault: PromotionFault?
        /// Whether it is at its place.
        public internal(set) var isPromoted = false
        /// What it was kept back as; nil of what is in a session or a test.
        var kept: KeptMember?
        /// Of a directory what was seen of it; without that it is not promoted.
        var look: DirectoryLook?
        /// Whether it is a directory that is to be an artifact.
        public var isDirectory: Bool { promotion?.destination.isDirectory ?? false }

        /// What cannot be promoted, whatever it is.
        public init(missing from: String, _ fault: PromotionFault) {
            self.init(from: from, size: 0, found: nil, promotion: nil, staysThere: false, fault: fault)
        }

        init(
            from: String, size: Int64, found: FoundFile?, promotion: Promotion?, staysThere: Bool,
            fault: PromotionFault?
        ) {
            (self.from, self.size, self.found, self.promotion) = (from, size, found, promotion)
            (self.staysThere, isCopied, self.fault) = (staysThere, staysThere, fault)
        }
    }

    /// All of them, in the order of their paths.
    public internal(set) var members: [Promotee] = []
    /// What is in a whole session or test and is none of this, by the paths on the mount, and why.
    public internal(set) var leftOut: [(path: String, reason: String)] = []

    /// Whether nothing refuses them.
    public var isPromotable: Bool { !members.isEmpty && members.allSatisfy { $0.fault == nil } }

    /// What a refusal of one of them says, in words: what, why and what to do.
    public static func words(of member: Promotee) -> [String] {
        guard let fault = member.fault else { return [] }
        let isOfTarget = [Rule.productionImmutable, .anotherWriter].contains(fault.refusal.rule)
        let path = (isOfTarget ? member.to : nil) ?? member.from
        let wayOut = member.kept == nil ? fault.refusal.wayOutOfPromotion : fault.refusal.wayOut
        return [fault.refusal.reason(path: path), fault.detail, wayOut].compactMap { $0 }
    }

    /// Adds what cannot be promoted.
    public mutating func add(_ missing: [Promotee]) { members += missing }

    /// Notes why one of them is not promoted; the first reason counts.
    public mutating func refuse(_ index: Int, _ fault: PromotionFault) {
        guard members.indices.contains(index), members[index].fault == nil else { return }
        members[index].fault = fault
    }

    /// Says which files these are and how they are, so that who has looked at them can say which ones that was.
    public func state() throws(Errno) -> String {
        var text = ""
        for member in members {
            guard let found = member.found else { continue }
            let attributes = found.attributes
            text += "\(member.from)\n\(found.identity) \(attributes.st_size) \(TimeText.rfc3339(attributes.st_mtim))\n"
            if member.isDirectory { text += (member.look?.digest ?? "-") + "\n" }
        }
        return try SHA256.digest(text.utf8)
    }
}

extension Store {
    /// Finds what somebody wants promoted, with the rights of the thread that asks. What refuses one of them, as far as its name and its
    /// directory tell, is noted; nothing is read.
    public func promotionSet(_ request: PromotionRequest) -> PromotionSet {
        var set = PromotionSet()
        var seen: Set<String> = []
        func add(_ path: String) {
            let path = path.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }.joined(separator: "/")
            if seen.insert(path).inserted { set.members.append(member(path, request)) }
        }
        for path in request.paths { add(path) }
        for scope in request.scopes {
            do throws(PromotionFault) {
                let paths = try artifacts(of: scope, &set.leftOut)
                for path in paths { add(path) }
                // What belongs to an experiment goes with its artifacts.
                if !paths.isEmpty { try addExperiment(of: scope, &set) }
            } catch {
                set.members.append(
                    .init(
                        from: scope, size: 0, found: nil, promotion: nil, staysThere: request.keeps, fault: error))
            }
        }
        set.members.sort { $0.from < $1.from }
        return set
    }

    /// Looks at all that is in the directories among them, with the rights of the thread that asks, without reading files. What refuses one is
    /// noted. Without this no directory is promoted.
    public func lookInside(_ set: inout PromotionSet) {
        for index in set.members.indices where set.members[index].isDirectory && set.members[index].fault == nil {
            guard let promotion = set.members[index].promotion else { continue }
            do throws(PublishFailure) {
                let directory = try attempt("opened") { () throws(Errno) in
                    try promotion.source.open(O_RDONLY | O_DIRECTORY, seen: promotion.identity)
                }
                defer { SystemCall.close(directory) }
                let look = try DirectoryLook(at: directory)
                (set.members[index].look, set.members[index].size) = (look, look.size)
            } catch {
                if case .system(_, let errno) = error {
                    set.refuse(index, PromotionFault(.system(errno), "something in it cannot be read: \(errno)"))
                } else {
                    set.refuse(index, PromotionFault(.keptBack(.failedCheck), error.reason))
                }
            }
        }
    }

    private func member(_ path: String, _ request: PromotionRequest) -> PromotionSet.Promotee {
        func refused(
            _ subject: PromotionSubject, _ name: NameClass = .invalid(.notInSchema), _ detail: String? = nil,
            _ found: FoundFile? = nil
        ) -> PromotionSet.Promotee {
            let refusal =
                OverwritePolicy.judgePromotion(
                    of: subject, named: name, isTaken: false, staysThere: request.keeps)
                ?? OverwritePolicy.judgePromotion(.nameless)
            return .init(
                from: path, size: Int64(found?.attributes.st_size ?? 0), found: found, promotion: nil,
                staysThere: request.keeps,
                fault: PromotionFault(refusal, detail))
        }
        let (location, rest) = schema.locate(path)
        guard case .typed(let scope, let layer, let type) = location, scope != .production, rest.count == 1,
            let name = rest.first
        else {
            return refused(.elsewhere)
        }
        let kinds: [Creation] = [.file, .directory]
        var failure: Errno?
        // A directory under the name of a file.
        var stray: (found: FoundFile, real: String)?
        for kind in kinds {
            guard case .artifact(let real) = OverwritePolicy.classify(name, in: .typed(type), as: kind) else {
                continue
            }
            do throws(Errno) {
                guard let directory = try RealDirectory.open(StoreLayout.directory(of: location), beneath: root) else {
                    continue
                }
                let file = directory.file(real)
                let found = try file.look()
                if found.attributes.isDirectory {
                    guard kind == .directory else {
                        stray = (found, real)
                        continue
                    }
                    SystemCall.close(try file.open(O_RDONLY | O_DIRECTORY, seen: found.identity))
                    guard let destination = Promotion.Destination(name, of: type, in: layer, isDirectory: true) else {
                        return refused(.directory, .invalid(.notInSchema), nil, found)
                    }
                    return .init(
                        from: path, size: 0, found: found,
                        promotion: Promotion(of: file, seen: found.identity, from: path, to: destination, in: self),
                        staysThere: request.keeps, fault: nil)
                }
                guard kind == .file else { continue }
                guard found.attributes.isRegular else {
                    return refused(.special, .artifact(realName: real), nil, found)
                }
                let meaning = NameClass.artifact(realName: real)
                if OverwritePolicy.judgePromotion(
                    of: .file(links: UInt64(found.attributes.st_nlink)), named: meaning, isTaken: false,
                    staysThere: request.keeps) != nil
                {
                    return refused(
                        .file(links: UInt64(found.attributes.st_nlink)), meaning,
                        "it has other names, through which its bytes could change; --keep promotes a copy", found)
                }
                SystemCall.close(try file.open(O_RDONLY, seen: found.identity))
                guard let destination = Promotion.Destination(name, of: type, in: layer) else {
                    return refused(.file(links: 1), .invalid(.notInSchema), nil, found)
                }
                return .init(
                    from: path, size: Int64(found.attributes.st_size), found: found,
                    promotion: Promotion(of: file, seen: found.identity, from: path, to: destination, in: self),
                    staysThere: request.keeps, fault: nil)
            } catch {
                if error != .noSuchFileOrDirectory { failure = failure ?? error }
            }
        }
        if let failure {
            return .init(
                from: path, size: 0, found: nil, promotion: nil, staysThere: request.keeps,
                fault: PromotionFault(.system(failure), "\(failure)"))
        }
        if let stray { return refused(.strayDirectory, .artifact(realName: stray.real), type.nameHint, stray.found) }
        switch OverwritePolicy.classify(name, in: .typed(type)) {
        case .artifact: return refused(.nothing)
        case let other: return refused(.file(links: 1), other, type.nameHint)
        }
    }

    /// A session's or a test's metadata and plots, of which copies are promoted: they stay with what is left there.
    private func addExperiment(of path: String, _ set: inout PromotionSet) throws(PromotionFault) {
        guard case .scope(let scope) = schema.locate(path).directory else { return }
        do throws(Errno) {
            try addExperiment(
                StoreLayout.metadataName, in: .scope(scope), from: path, ExperimentTypes.metadata,
                ExperimentTypes.metadataName(of: scope), &set)
            let plots = TreeLocation.free(scope, .plots)
            let directory = try RealDirectory.open(StoreLayout.directory(of: plots), beneath: root)
            for entry in try directory?.entries() ?? [] {
                guard case .artifact = UntypedDirectory.classifyPlot(entry.name) else { continue }
                try addExperiment(
                    entry.name, in: plots, from: path + "/" + UntypedDirectory.plots.rawValue, ExperimentTypes.plots,
                    ExperimentTypes.plotName(entry.name, of: scope), &set)
            }
        } catch { throw PromotionFault(.system(error), "\(error)") }
    }

    private func addExperiment(
        _ name: String, in location: TreeLocation, from shown: String, _ typeName: String, _ target: String?,
        _ set: inout PromotionSet
    ) throws(Errno) {
        guard let file = try RealDirectory.open(StoreLayout.directory(of: location), beneath: root)?.file(name),
            file.exists
        else { return }
        let found = try file.look()
        guard found.attributes.isRegular else { return }
        let path = shown + "/" + name
        guard let target, let type = schema.type(named: typeName),
            let layer = Layer.allCases.first(where: type.layers.contains),
            let destination = Promotion.Destination(target, of: type, in: layer)
        else {
            set.leftOut.append((path, "the schema has no type \(typeName) that takes it"))
            return
        }
        // Another part of the session went before.
        let there = StoreLayout.directory(of: destination.location)
        if (try? RealDirectory.open(there, beneath: root)?.file(destination.realName).exists) == true {
            set.leftOut.append((path, "\(destination.path) is there already"))
            return
        }
        SystemCall.close(try file.open(O_RDONLY, seen: found.identity))
        set.members.append(
            .init(
                from: path, size: Int64(found.attributes.st_size), found: found,
                promotion: Promotion(of: file, seen: found.identity, from: path, to: destination, in: self),
                staysThere: true, fault: nil))
    }

    /// The artifacts of a session or a test, by their paths on the mount.
    private func artifacts(
        of path: String, _ leftOut: inout [(path: String, reason: String)]
    ) throws(PromotionFault) -> [String] {
        let (location, rest) = schema.locate(path)
        guard case .scope(let scope) = location, rest.isEmpty, scope != .production else {
            throw PromotionFault(.system(.noSuchFileOrDirectory), "\(path) is none of a session or a test")
        }
        var found: [String] = []
        var isThere = false
        do throws(Errno) {
            for layer in Layer.allCases {
                isThere =
                    try RealDirectory.open(StoreLayout.directory(of: scope, in: layer), beneath: root) != nil || isThere
                for type in schema.types(in: layer) {
                    let typed = TreeLocation.typed(scope, layer, type)
                    guard let directory = try RealDirectory.open(StoreLayout.directory(of: typed), beneath: root) else {
                        continue
                    }
                    let shown = "\(StoreLayout.shownDirectory(of: scope))/\(layer.rawValue)/\(type.name)/"
                    for entry in try directory.entries() {
                        let name = type.virtualName(forReal: entry.name, ofDirectory: entry.isDirectory)
                        guard let name else { continue }
                        if !entry.isDirectory,
                            schema.claimant(ofReal: entry.name, in: type.directory, layer: layer) != type
                        {
                            continue
                        }
                        let file = directory.file(entry.name)
                        // Links to a sibling say another artifact's name, and are no bytes of their own.
                        if !entry.isDirectory, try file.attributes().isSymbolicLink {
                            leftOut.append((shown + name, "a link to another artifact"))
                        } else {
                            found.append(shown + name)
                        }
                    }
                }
            }
        } catch { throw PromotionFault(.system(error), "\(error)") }
        guard isThere else { throw PromotionFault(.system(.noSuchFileOrDirectory)) }
        return found
    }
}
