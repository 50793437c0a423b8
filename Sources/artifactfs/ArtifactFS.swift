import ArgumentParser

/// The command line.
struct ArtifactFS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "artifactfs",
        abstract: "Shows a store of research artifacts as a tree that refuses to overwrite production.",
        discussion: """
            A store is a directory that holds one evaluation's results. Mounted, its artifacts are files that any program reads \
            and writes: production is write-once, development/current is your session, test/NAME is an isolated test.

            EXAMPLES:
              artifactfs init /data/spliceai_eval             make a store
              artifactfs mount /data/spliceai_eval /mnt/art   mount it
              cd /mnt/art/production/base/analysis_sequences
              cp ~/chr1.tsv .                                 publish an artifact
              artifactfs explain overwrite chr1.tsv           why not?
              artifactfs show chr1.tsv                        who made it, how, from what
              artifactfs lineage chr1.tsv                     and so on, to the first
              artifactfs promote current                      publish all of a session
              artifactfs recover list /mnt/art                what was kept back
              cd && artifactfs unmount /mnt/art               publish the rest, unmount

            EXIT STATUS:
              0   success
              1   failed; 'explain': the operation would be refused; 'wait': something was
                  kept back; 'recover': refused, it stays in quarantine; 'show',
                  'history' and 'lineage': nothing is known of it; 'lineage diff':
                  not made alike; 'ls --missing': something is missing;
                  'find', 'du', 'sessions', 'report': nothing was found;
                  'compare': something differs;
                  'supersede', 'retract', 'promote': refused, nothing has
                  changed; 'versions': there is none, or one is missing;
                  'production': nothing was there, or it differs; 'tag':
                  refused, or there is none;
                  'adopt': something was refused; 'verify', 'audit': something
                  differs;
                  'attest': something differs or is not signed;
                  'validate': something would be refused;
                  'doctor': something is not as it should be; with --shared:
                  not known to be for several hosts;
                  'gc': something stays that was to go; 'stale': something is;
                  'mirror': something is not there, not sent, or not what was sent
              2   cannot answer: no such path, not on a mount; 'lineage diff': trouble;
                  'doctor --shared': no other host came, it went away, or both
                  were one machine;
                  'attest': a key cannot be used; 'mirror': a bucket cannot be used
              3   not a store
              4   the mount point cannot be used
              5   FUSE is not available here
              6   busy
              7   the store's schema has a fault
              8   waited in vain: a driver does not answer, or is not done yet, or it
                  ended, and whether it was done is not known
              9   'promote': published, and not all of it is signed by the schema's key
              64  wrong usage
            """,
        version: Version.text,
        subcommands: [
            InitCommand.self, AdoptCommand.self, MountCommand.self, UnmountCommand.self, StatusCommand.self,
            WaitCommand.self,
            ExplainCommand.self, ListCommand.self, FindCommand.self, UsageCommand.self, ShowCommand.self,
            HistoryCommand.self,
            LineageCommand.self, DoctorCommand.self, ProductionCommand.self, TagCommand.self, VersionsCommand.self,
            SupersedeCommand.self, StaleCommand.self,
            RetractCommand.self, PromoteCommand.self, VerifyCommand.self, AuditCommand.self, AttestCommand.self,
            ValidateCommand.self,
            RecoverCommand.self, ClearingCommand.self,
            ReindexCommand.self,
            SessionCommand.self, SessionsCommand.self, ExperimentRunCommand.self, RunsCommand.self, CompareCommand.self,
            ServeCommand.self, ReportCommand.self, MirrorCommand.self,
            HoldersCommand.self, CheckContentsCommand.self, RecallArtifactsCommand.self, PageCommand.self,
            CatalogUpkeepCommand.self,
        ])
}

/// The program's version.
enum Version {
    static let text = "0.1.0"
}
