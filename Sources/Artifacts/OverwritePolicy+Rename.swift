internal import SystemPackage

/// Why a rename is refused, and what it is that is refused.
public struct RefusedRename: Error, Hashable, Sendable {
    /// What of a rename is asked about.
    public enum Question: Hashable, Sendable {
        /// Whether the file may leave its name.
        case source
        /// Whether the new directory takes the new name.
        case name
        /// Whether what has the new name may be replaced.
        case target
    }

    /// What was asked.
    public let question: Question
    /// The answer.
    public let refusal: Refusal

    /// A refusal.
    public init(_ question: Question, _ refusal: Refusal) {
        self.question = question
        self.refusal = refusal
    }

    /// The operation's name, as refusals are told with it.
    public var operation: String {
        switch question {
        case .source: Operation.renameFrom.rawValue
        case .name: Creation.file.rawValue
        case .target: Operation.renameOnto.rawValue
        }
    }
}

extension OverwritePolicy {
    /// Judges giving a file another name: whether it may go, whether the name is one, whether what has the name may be replaced.
    ///
    /// - Parameters:
    ///   - state: the file's.
    ///   - name: what the new name means in the new directory.
    ///   - kind: a plain file, or a directory that is an artifact.
    ///   - place: what the new directory takes.
    ///   - standing: the new directory's.
    ///   - other: the state of what has the new name; nil when nothing has it.
    ///   - otherFacts: of who asks, to that.
    /// - Returns: the first refusal, in the order of the questions; nil when the policy agrees.
    public static func judgeRename(
        of state: FileState, facts: Facts = Facts(), to name: NameClass, as kind: Creation = .file, in place: Place,
        standing: Standing, onto other: FileState?, otherFacts: Facts = Facts()
    ) -> RefusedRename? {
        if let refusal = judge(.renameFrom, on: state, facts: facts).refusal { return .init(.source, refusal) }
        if let refusal = judge(kind, named: name, in: place, standing: standing).refusal {
            return .init(.name, refusal)
        }
        guard let other, let refusal = judge(.renameOnto, on: other, facts: otherFacts).refusal else { return nil }
        return .init(.target, refusal)
    }

    /// Judges moving a file into production: its bytes must not change through another name afterwards.
    ///
    /// - Parameter links: how many names it has.
    /// - Returns: the refusal; nil for a plain file with one name.
    public static func judgeMoving(isRegular: Bool, links: UInt64) -> RefusedRename? {
        isRegular && links <= 1 ? nil : .init(.source, Refusal(.improperLink, .crossesTrees))
    }

    /// The same of what a program of another host may have open.
    ///
    /// - Returns: the refusal; nil where none can.
    public static func judgeMoving(from origin: BytesOrigin, isShared: Bool) -> RefusedRename? {
        origin.isInReach(ofOthers: isShared) ? .init(.source, Refusal(.improperLink, .crossesTrees)) : nil
    }
}
