/// What a repository's configuration says of its working tree: no more of it is kept.
struct RepositorySettings: Sendable {
    /// `core.fileMode`: whether the right to execute a file counts; nil when it is not said here.
    let hasFileModes: Bool?
    /// `core.symlinks`; nil when it is not said here.
    let hasSymbolicLinks: Bool?
    /// Whether it names other files that could say how files are converted.
    let namesOtherFiles: Bool
    /// Whether working trees have settings of their own (`extensions.worktreeConfig`).
    let isOfWorkingTree: Bool
    /// `core.bare`, or something that is neither yes nor no.
    let mayBeBare: Bool
    /// `core.worktree`, from the repository; nil when there is none. Empty when it is no path.
    let workingTree: [UInt8]?
    /// Whether some submodule is not to be looked at (`submodule.<name>.ignore`).
    let ignoresSubmodules: Bool

    init(_ config: GitConfig) {
        hasFileModes = config.flag("core", "filemode")
        hasSymbolicLinks = config.flag("core", "symlinks")
        namesOtherFiles = config.value("core", "attributesfile") != nil || config.includesOthers
        isOfWorkingTree = config.flag("extensions", "worktreeconfig") == true
        mayBeBare = !config.values("core", "bare").isEmpty && config.flag("core", "bare") != false
        workingTree = config.values("core", "worktree").last.map { $0 ?? [] }
        ignoresSubmodules = config.ignoresSubmodules
    }
}

extension GitConfig {
    /// Whether some submodule is not to be looked at (`submodule.<name>.ignore`).
    var ignoresSubmodules: Bool { variables.contains { $0.section == "submodule" && $0.name == "ignore" } }
}
