import Glibc
import ObjectStorage
import TestSupport
import Testing

/// Credentials that the machine has, from a small server that answers as an instance's and a container's do, and no other way.
@Suite struct MachineCredentialTests {
    private let files: TemporaryDirectory
    private let server: Child
    private let place: String

    private static let script = """
        import http.server, os, sys
        told = b'{"Code": "Success", "AccessKeyId": "MACHINE", "SecretAccessKey": "s", "Token": "t", "Expiration": "2030-01-01T00:00:00Z"}'
        roles = '/latest/meta-data/iam/security-credentials/'
        class Answers(http.server.BaseHTTPRequestHandler):
            def say(self, status, body=b''):
                self.send_response(status)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_PUT(self):
                isIt = self.path == '/latest/api/token' and self.headers.get('X-aws-ec2-metadata-token-ttl-seconds')
                self.say(200, b'the-token') if isIt else self.say(400)
            def do_GET(self):
                if self.path == '/container':
                    return self.say(200, told) if self.headers.get('Authorization') == 'Bearer x' else self.say(401)
                if self.headers.get('X-aws-ec2-metadata-token') != 'the-token':
                    return self.say(401)
                self.say(200, {roles: b'a role', roles + 'a%20role': told}.get(self.path, b'none'))
            def log_message(self, *words): pass
        server = http.server.HTTPServer(('127.0.0.1', 0), Answers)
        open(sys.argv[1] + '.new', 'w').write(str(server.server_port))
        os.rename(sys.argv[1] + '.new', sys.argv[1])
        server.serve_forever()
        """

    init() throws {
        files = try TemporaryDirectory()
        let port = files.path + "/port"
        server = try Child(["python3", "-c", Self.script, port])
        let server = server
        try #require(eventually(within: 60) { !server.isRunning || access(port, F_OK) == 0 })
        place = "http://127.0.0.1:" + (try contents(port))
    }

    private func chain(_ environment: [String: String], profile: String? = nil) -> CredentialChain {
        CredentialChain(environment: environment, home: nil, profile: profile) { path in
            path == "/token" ? "Bearer x\n" : nil
        }
    }

    private static let found = Credentials(accessKey: "MACHINE", secret: "s", sessionToken: "t")

    @Test func anInstancesRoleIsAskedForWithAToken() throws {
        #expect(try chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": place + "/"]).credentials() == Self.found)
        let keys = ["AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_SERVICE_ENDPOINT": place]
        #expect(try chain(keys).credentials().accessKey == "K", "what is named comes first")
        for environment in [
            ["AWS_EC2_METADATA_SERVICE_ENDPOINT": place, "AWS_EC2_METADATA_DISABLED": "true"],
            ["AWS_EC2_METADATA_SERVICE_ENDPOINT": place + "/elsewhere"],
        ] {
            #expect(throws: CredentialFault.self) { try chain(environment).credentials() }
        }
    }

    @Test func aContainersAreAskedForWithItsToken() throws {
        let url = ["AWS_CONTAINER_CREDENTIALS_FULL_URI": place + "/container"]
        func asked(_ more: [String: String]) throws -> Credentials {
            try chain(url.merging(more) { $1 }).credentials()
        }
        #expect(try asked(["AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer x"]) == Self.found)
        #expect(try asked(["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token"]) == Self.found)
        for wrong in [
            [:], ["AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer y"], ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/none"],
            ["AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer x\r\nX-More: y"],
            ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/container"],
            ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:80@example.com/"],
            ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "file:///etc/passwd"],
        ] {
            #expect(throws: CredentialFault.self, "\(wrong)") { try asked(wrong) }
        }
    }
}
