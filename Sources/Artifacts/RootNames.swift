/// How stores are named below a root of several: `<source>/<build>/<model>_eval` is shown as `<source>/<build>/<model>`.
public enum RootNames {
    /// What ends a store's name and is not shown.
    public static let suffix = "_eval"
    /// So many levels below the root a store may lie.
    public static let levels = 5

    /// Whether a directory of this name is looked at: what is hidden is somebody else's.
    public static func isLookedAt(_ name: String) -> Bool { !name.isEmpty && name.utf8.first != UInt8(ascii: ".") }

    /// Whether what is mounted on a directory is somebody's own, and not looked at: a mount of artifactfs shows stores and is none, and what a
    /// user's program answers for may never answer.
    ///
    /// - Parameters:
    ///   - type: of the file system, as mountinfo has it.
    ///   - user: who mounted it, of a FUSE mount; nil where that is not said.
    public static func isSomebodys(type: some StringProtocol, user: UInt32?) -> Bool {
        guard type.hasPrefix("fuse") || type.hasPrefix("artifactfs") else { return false }
        return type.contains("artifactfs") || user != 0
    }

    /// What a store is called without its suffix; nil where that leaves nothing to call it.
    public static func short(_ name: String) -> String? {
        guard name.utf8.count > suffix.utf8.count, name.hasSuffix(suffix) else { return nil }
        return String(name.dropLast(suffix.count))
    }

    /// What a directory is called on the mount.
    ///
    /// - Parameter isTaken: whether a directory of a name lies beside it: that has the name, and the store its whole one.
    public static func shown(_ name: String, isStore: Bool, isTaken: (String) -> Bool) -> String {
        guard isStore, let short = short(name), isLookedAt(short), !isTaken(short) else { return name }
        return short
    }

    /// The directories that a name on the mount may mean, the first that is called so being the one.
    public static func candidates(of shown: String) -> [String] { [shown, shown + suffix] }
}
