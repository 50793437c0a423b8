internal import SystemPackage

/// What a repository says of itself, without its working tree.
struct RepositoryIdentity: Sendable {
    /// What is checked out; nil when that cannot be told.
    var head: RepositoryHead?
    /// The form that it is kept in; nil when it is not known here.
    var form: RepositoryForm?
    /// What its configuration says of the working tree; nil when it cannot be read.
    var settings: RepositorySettings?

    /// The address of its remote, as it may be shown.
    var remote: String?

    /// Reads what can be read: what fails stays unknown.
    static func read(by reader: inout RepositoryReader) -> RepositoryIdentity {
        var identity = RepositoryIdentity()
        do throws(Errno) {
            let config = try config(by: &reader)
            guard let form = RepositoryForm(config) else { return identity }
            identity.settings = RepositorySettings(config)
            identity.form = form
            guard form.hasRefFiles else { return identity }
            let head = try RepositoryHead.read(by: &reader, form)
            identity.head = head
            identity.remote = config.remote(ofBranch: head.branch)
        } catch {
            // Why it cannot be read may change without a file that was looked at.
            reader.mayBeKept = false
        }
        return identity
    }

    private static func config(by reader: inout RepositoryReader) throws(Errno) -> GitConfig {
        var config = GitConfig()
        if let bytes = try reader.contents(.common, Array("config".utf8), limit: GitConfig.limit) {
            guard let read = GitConfig(bytes) else { throw .invalidArgument }
            config = read
        }
        guard config.flag("extensions", "worktreeconfig") == true,
            let bytes = try reader.contents(.own, Array("config.worktree".utf8), limit: GitConfig.limit)
        else { return config }
        guard let read = GitConfig(bytes) else { throw .invalidArgument }
        config.add(read)
        return config
    }
}
