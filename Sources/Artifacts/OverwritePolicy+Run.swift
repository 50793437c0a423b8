internal import SystemPackage

/// What a run that is all or nothing may do in production (SEMANTICS 2.7), beside what the states of its files say.
extension OverwritePolicy {
    /// Judges making or changing something in production by a process of such a run.
    ///
    /// - Parameter isOver: whether its command has ended.
    public static func judgeInRun(isOver: Bool) -> Verdict {
        isOver ? .refused(Refusal(.notPermitted, .runIsOver)) : .allowed
    }

    /// Judges making an artifact that is a directory by a process of such a run.
    public static func judgeDirectoryInRun() -> Verdict { .refused(Refusal(.notPermitted, .filesOnlyInRun)) }
}
