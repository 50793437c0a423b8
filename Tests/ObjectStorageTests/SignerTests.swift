import ObjectStorage
import Testing

/// Signatures against what AWS has published: its test suite for Signature Version 4, and the examples of S3's own manual.
@Suite struct SignerTests {
    static let time = "20150830T123600Z"
    static let suite = Credentials(accessKey: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

    /// A case of the suite: its name, and what it signs.
    struct Case: Sendable, CustomTestStringConvertible {
        let name, method, path: String
        var query: [(String, String)] = []
        var headers: [(String, String)] = []
        let signature: String
        var names = "host;x-amz-date"
        var testDescription: String { name }
    }

    static let cases = [
        Case(
            name: "get-vanilla", method: "GET", path: "/",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Case(
            name: "post-vanilla", method: "POST", path: "/",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        Case(
            name: "get-vanilla-query-order-key-case", method: "GET", path: "/",
            query: [("Param2", "value2"), ("Param1", "value1")],
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        Case(
            name: "get-unreserved", method: "GET",
            path: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        Case(
            name: "get-utf8", method: "GET", path: ObjectKey.encodedPath("/\u{1234}"),
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        Case(
            name: "get-header-value-trim", method: "GET", path: "/",
            headers: [("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            names: "host;my-header1;my-header2;x-amz-date"),
    ]

    @Test(arguments: cases) func signsAsTheSuiteDoes(_ one: Case) {
        let signed = RequestSigner(region: "us-east-1", service: "service").authorization(
            one.method, path: one.path, query: one.query,
            headers: [("host", "example.amazonaws.com"), ("x-amz-date", Self.time)] + one.headers,
            payload: RequestSigner.noBody, time: Self.time, by: Self.suite)
        #expect(
            signed == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                + "SignedHeaders=\(one.names), Signature=\(one.signature)")
    }

    static let manual = Credentials(
        accessKey: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    static let day = "20130524T000000Z"
    static let ofManual = [
        Case(
            name: "GET of a range", method: "GET", path: "/test.txt", headers: [("range", "bytes=0-9")],
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Case(
            name: "PUT", method: "PUT", path: "/" + ObjectKey.encodedPath("test$file.text"),
            headers: [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Case(
            name: "lifecycle", method: "GET", path: "/", query: [("lifecycle", "")],
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Case(
            name: "list", method: "GET", path: "/", query: [("prefix", "J"), ("max-keys", "2")],
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: ofManual) func signsAsTheManualDoes(_ one: Case) {
        let payload =
            one.method == "PUT"
            ? "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" : RequestSigner.noBody
        let signed = RequestSigner(region: "us-east-1").authorization(
            one.method, path: one.path, query: one.query,
            headers: [
                ("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", Self.day), ("x-amz-content-sha256", payload),
            ] + one.headers, payload: payload, time: Self.day, by: Self.manual)
        #expect(signed?.hasSuffix("Signature=" + one.signature) == true, "\(signed ?? "nothing")")
    }

    /// A secret is in nothing that shows credentials.
    @Test func secretsAreNotShown() {
        let all = Credentials(accessKey: "AKID", secret: "hidden-secret", sessionToken: "hidden-token")
        var dumped = ""
        dump(all, to: &dumped)
        for text in ["\(all)", String(reflecting: all), dumped, "\([all])"] {
            #expect(!text.contains("hidden"), "\(text)")
        }
    }

    /// Google's V4 has words of its own. The value is Python's, from the manual's description.
    @Test func googlesSignaturesAreTheSameWithOtherWords() {
        let signed = RequestSigner(region: "auto", service: "storage", family: "GOOG4").authorization(
            "PUT", path: "/lab-results/a/b", query: [],
            headers: [
                ("host", "storage.googleapis.com"), ("x-goog-date", Self.time), ("x-goog-if-generation-match", "0"),
                ("x-goog-content-sha256", RequestSigner.noBody),
            ], payload: RequestSigner.noBody, time: Self.time,
            by: Credentials(accessKey: "GOOGEXAMPLE", secret: "secret"))
        #expect(
            signed == "GOOG4-HMAC-SHA256 Credential=GOOGEXAMPLE/20150830/auto/storage/goog4_request, "
                + "SignedHeaders=host;x-goog-content-sha256;x-goog-date;x-goog-if-generation-match, "
                + "Signature=d4f05bcb5553cc58387d4364c0abb02a0e2e352b5e244c0b180eed281dc04f70")
    }
}
