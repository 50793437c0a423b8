import ArgumentParser

/// `artifactfs mirror`
struct MirrorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Keep a copy of what is sealed in a bucket of S3 or GCS, and make a store from it.",
        discussion: """
            A mirror has what is sealed in production, former versions, records, ledgers, signatures and the schema. Every object is made \
            once (If-None-Match; at Google's, generation 0) and never overwritten; sessions, tests and quarantine are not sent. A push that was ended in any way is run again.

            Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else from the profile (--profile, AWS_PROFILE) in \
            ~/.aws/credentials and ~/.aws/config, keys or credential_process, else from the container or the instance's role; the region from AWS_REGION or the profile. For gs:// they are an HMAC key of Google's Cloud Storage: GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY, else \
            under AWS's names in the environment or the profile. They are kept nowhere.

            gs:// was tried with a server of the tests that judges as Google's documents say, not with Google's own; files go in one request each there.

            EXAMPLE:
              artifactfs mirror add cloud s3://lab-results/spliceai
              artifactfs mirror push cloud
              artifactfs mirror restore s3://lab-results/spliceai /data/again

            EXIT STATUS:
              0   done
              1   something is not there, or not as it should be; 'status': something
                  is not sent
              2   the bucket cannot be used, there are no credentials, or no such mirror
              3   not a store
              6   another process is at work with it
              64  wrong usage
            """,
        subcommands: [
            MirrorAddCommand.self, MirrorPushCommand.self, MirrorStatusCommand.self, MirrorVerifyCommand.self,
            MirrorEvictCommand.self, MirrorRecallCommand.self, MirrorRestoreCommand.self,
        ])
}

/// Where a server is that is not AWS's, and with which credentials it is asked.
struct ServerArguments: ParsableArguments {
    @Option(name: .long, help: "https://HOST[:PORT] of another server than AWS's or Google's; it is asked by paths.")
    var endpoint: String?
    @Option(name: .long, help: "The profile of ~/.aws/credentials and ~/.aws/config. (default: $AWS_PROFILE)")
    var profile: String?
}
