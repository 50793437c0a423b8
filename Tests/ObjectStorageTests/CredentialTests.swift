import ObjectStorage
import Testing

/// Where credentials come from.
@Suite struct CredentialTests {
    static let secrets = """
        # a comment
        [default]
        aws_access_key_id = DEFAULT
        aws_secret_access_key=default/secret+key=
        ; another
        [lab]
        AWS_ACCESS_KEY_ID=LAB
        aws_secret_access_key = labsecret   # not of it
        aws_session_token = token
        s3 =
          max_concurrent_requests = 3
          aws_access_key_id = NESTED
        [half]
        aws_access_key_id = HALF
        """
    static let config = """
        [default]
        region = eu-central-1
        [profile lab]
        region=eu-west-1
        [profile "of two words"]
        aws_access_key_id = TWO
        aws_secret_access_key = s
        [profile program]
        credential_process = printf '{"Version": 1, "AccessKeyId": "FROM", "SecretAccessKey": "s", "SessionToken": "t"}'
        [profile fails]
        credential_process = echo '{"Version": 1, "AccessKeyId": "FROM", "SecretAccessKey": "s"}'; exit 3
        [profile nonsense]
        credential_process = echo hello
        [profile silent]
        credential_process = exec sleep 1000
        [profile endless]
        credential_process = echo '{"Version": 1, "AccessKeyId": "FROM", "SecretAccessKey": "s"}'; exec sleep 1000 >&-
        """

    private func chain(
        _ environment: [String: String] = [:], profile: String? = nil, patience: UInt64 = 60_000
    ) -> CredentialChain {
        CredentialChain(
            environment: environment.merging(["AWS_EC2_METADATA_DISABLED": "true"]) { $1 }, home: "/home/x",
            profile: profile, patience: patience
        ) { path in
            switch path {
            case "/home/x/.aws/credentials": Self.secrets
            case "/home/x/.aws/config": Self.config
            case "/else": "[default]\naws_access_key_id=ELSE\naws_secret_access_key=e\n"
            default: nil
            }
        }
    }

    private static let keys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "e"]

    @Test func theEnvironmentComesFirstAndANamedProfileBeforeIt() throws {
        #expect(try chain().credentials() == Credentials(accessKey: "DEFAULT", secret: "default/secret+key="))
        #expect(try chain(Self.keys).credentials() == Credentials(accessKey: "ENV", secret: "e"))
        #expect(
            try chain(Self.keys.merging(["AWS_SESSION_TOKEN": "t"]) { $1 }).credentials()
                == Credentials(accessKey: "ENV", secret: "e", sessionToken: "t"))
        let lab = Credentials(accessKey: "LAB", secret: "labsecret", sessionToken: "token")
        #expect(try chain(Self.keys, profile: "lab").credentials() == lab)
        #expect(try chain(["AWS_PROFILE": "lab"]).credentials() == lab)
        #expect(try chain(profile: "of two words").credentials().accessKey == "TWO")
        #expect(try chain(["AWS_SHARED_CREDENTIALS_FILE": "/else"]).credentials().accessKey == "ELSE")
    }

    @Test func aProgramTellsThem() throws {
        #expect(
            try chain(profile: "program").credentials()
                == Credentials(accessKey: "FROM", secret: "s", sessionToken: "t"))
    }

    /// Nothing is waited for without an end: one that says nothing, and one that has said all and runs on.
    @Test(arguments: ["silent", "endless"]) func aProgramThatDoesNotEndIsEnded(profile: String) {
        #expect(throws: CredentialFault.self) { try chain(profile: profile, patience: 100).credentials() }
    }

    @Test(arguments: [
        ("half", "one half"), ("nobody", "no profile 'nobody'"), ("fails", "cannot be run"),
        ("nonsense", "does not tell"),
    ])
    func whatIsWrongIsSaid(profile: String, words: String) {
        do throws(CredentialFault) {
            Issue.record("\(try chain(profile: profile).credentials())")
        } catch { #expect(error.text.contains(words), "\(error.text)") }
    }

    @Test func withoutAnyItIsSaidWhereTheyWereLookedFor() {
        let none = CredentialChain(environment: ["AWS_EC2_METADATA_DISABLED": "true"], home: "/home/y", profile: nil) {
            _ in nil
        }
        do throws(CredentialFault) { Issue.record("\(try none.credentials())") } catch {
            #expect(error.text.contains("AWS_ACCESS_KEY_ID") && error.text.contains("/home/y/.aws/credentials"))
        }
    }

    @Test func theRegionComesFromTheEnvironmentOrTheProfile() {
        #expect(chain().region == "eu-central-1")
        #expect(chain(profile: "lab").region == "eu-west-1")
        #expect(chain(["AWS_REGION": "r"]).region == "r")
        #expect(chain(["AWS_DEFAULT_REGION": "d", "AWS_REGION": ""]).region == "d")
        #expect(chain(profile: "nobody").region == "us-east-1")
    }

    /// Files of nonsense are read without an end that is none.
    @Test func anyTextIsAFile() {
        let pieces = ["[", "]", "=", "\n", "profile ", "x", "#", " ", "\"", "é", "\r", ";", "aws_access_key_id"]
        var state: UInt64 = 1
        for _ in 0..<2_000 {
            var text = ""
            for _ in 0..<20 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += pieces[Int(state >> 33) % pieces.count]
            }
            _ = ProfileFile(text).names
        }
    }
}
