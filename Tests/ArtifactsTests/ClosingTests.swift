import Artifacts
import SystemPackage
import Testing

/// What a close leaves, and which errno tells of it later.
@Suite struct ClosingTests {
    @Test(
        arguments: [
            (false, 0, LastClose.staysEmpty), (true, 0, .drops), (false, 1, .settles), (true, 1, .keepsBack),
            (false, .max, .settles), (true, .max, .keepsBack), (false, -1, .staysEmpty), (true, .min, .drops),
        ] as [(Bool, Int64, LastClose)])
    func lastCloses(isSpoiled: Bool, size: Int64, left: LastClose) {
        #expect(LastClose.judge(isSpoiled: isSpoiled, size: size) == left)
    }

    private static let endings: [WriterEnding] = [
        .running, .unknown, .succeeded, .failed(status: 1), .failed(status: 141), .killed(signal: 9),
        .killed(signal: 13),
    ]

    /// Every ending of the opener and of another, with every number of bytes that the opener may have written.
    @Test func whoEndsWithAHandleOpen() {
        let numbers: [(written: UInt64?, size: Int64?, isShort: Bool)] = [
            (nil, nil, true), (nil, 0, true), (7, nil, true), (0, 0, false), (9, 10, true), (10, 10, false),
            (11, 10, false), (.max, .max, false), (0, -1, false), (0, .min, false), (0, .max, true),
        ]
        for ending in Self.endings {
            for (written, size, isShort) in numbers {
                var isAsked = false
                func asked() -> UInt64? {
                    isAsked = true
                    return written
                }
                let byOpener = Settlement.isSpoiled(by: ending, isOpener: true, written: asked(), size: size)
                #expect(!isAsked)
                let byOther = Settlement.isSpoiled(by: ending, isOpener: false, written: asked(), size: size)
                let expected: (opener: Bool, other: Bool) =
                    switch ending {
                    case .running, .unknown, .succeeded: (false, false)
                    case .failed, .killed(13): (true, false)
                    case .killed: (true, isShort)
                    }
                #expect(
                    byOpener == expected.opener,
                    "\(ending), \(String(describing: written)) of \(String(describing: size))")
                #expect(
                    byOther == expected.other,
                    "\(ending), \(String(describing: written)) of \(String(describing: size))")
                #expect(isAsked == (ending == .killed(signal: 9)), "/proc is read where it matters")
            }
        }
    }

    @Test func truncationThatBeginsAnew() {
        #expect(Settlement.beginsAnew(truncates: true, writers: 0))
        #expect(!Settlement.beginsAnew(truncates: true, writers: 1))
        #expect(!Settlement.beginsAnew(truncates: false, writers: 0))
        #expect(!Settlement.beginsAnew(truncates: false, writers: 2))
    }

    /// What is on its way to quarantine is its job's to read, and nobody's to change.
    @Test func whatIsKeptBack() {
        for operation in Operation.allCases {
            for isSameJob in [false, true] {
                let facts = Facts(isSameJob: isSameJob, isKeptBack: true)
                let verdict = OverwritePolicy.judge(operation, on: .sealing, facts: facts)
                guard operation == .openToRead else {
                    #expect(verdict == OverwritePolicy.judge(operation, on: .sealing))
                    continue
                }
                #expect(verdict == OverwritePolicy.judge(.openToRead, on: .settling, facts: facts))
            }
            let isAsked = OverwritePolicy.asksWho(operation, on: .sealing, isKeptBack: true, publishing: .exit)
            #expect(isAsked == (operation == .openToRead))
            #expect(!OverwritePolicy.asksWho(operation, on: .sealing, isKeptBack: true, publishing: .close))
        }
        #expect(OverwritePolicy.judge(.openToRead, on: .sealing) == .allowed)
    }

    @Test func laterRefusals() {
        let told: [Rule: Errno] = [
            .anotherWriter: .fileExists, .noRoom: .noSpace, .storeFailed: .ioError, .cutOff: .hostIsDown,
        ]
        for rule in Rule.allCases {
            let refusal = Refusal.ofPublishing(rule)
            #expect(refusal.rule == rule && refusal.errno == told[rule] ?? .invalidArgument)
        }
        // As it would be refused at once.
        #expect(Refusal.ofPublishing(.failedCheck).errnoName == "EINVAL")
    }

    @Test func standings() throws {
        let (live, other) = (try #require(SessionName("20260215_143022")), try #require(SessionName("20260214_101500")))
        let test = Scope.test(try #require(TestName("t")))
        for isReadOnly in [false, true] {
            func standing(_ scope: Scope?) -> Standing { .of(scope, isReadOnly: isReadOnly) { $0 == live } }
            #expect(standing(.session(live)) == .live && standing(.session(other)) == .frozen)
            #expect(standing(.production) == .production && standing(nil) == .production)
            #expect(standing(test) == (isReadOnly ? .frozen : .live))
        }
    }

    @Test func whatIsChecked() throws {
        let schema = ArtifactSchema.builtIn
        var checked = 0
        for type in schema.types {
            for layer in type.layers {
                let name = try #require(Place.typed(type).names?.example)
                let production = TreeLocation.typed(.production, layer, type)
                #expect(production.checkedFormat(of: name) == type.formats.first)
                #expect(production.checkedFormat(of: "x.unknown") == nil)
                let test = try #require(TestName("t"))
                #expect(TreeLocation.typed(.test(test), layer, type).checkedFormat(of: name) == nil)
                checked += 1
            }
        }
        #expect(checked > 8)
        let unchecked = TypeDefinition(name: "x", layers: [.base], formats: [".tsv"], isChecked: false)
        #expect(TreeLocation.typed(.production, .base, unchecked).checkedFormat(of: "x.tsv") == nil)
        #expect(TreeLocation.layer(.production, .base).checkedFormat(of: "x.tsv") == nil)
    }

    @Test(
        arguments: [
            ("user.artifact.state", Rule.reservedAttribute), ("user.artifact.asker", .reservedAttribute),
            ("user.artifact.seal", .reservedAttribute), ("user.artifact.", .reservedAttribute),
            ("user.artifact.config", nil), ("user.artifact.note", nil), ("user.artifact.experiment_id", nil),
            ("user.artifact.inputs", nil),
            ("user.artifact", nil), ("user.x", nil), ("user.", nil), ("system.posix_acl_access", nil),
            ("system.posix_acl_default", .foreignAttribute), ("security.selinux", .foreignAttribute),
            ("trusted.x", .foreignAttribute), ("", .foreignAttribute), ("User.x", .foreignAttribute),
        ] as [(String, Rule?)])
    func attributes(name: String, rule: Rule?) {
        let verdict = OverwritePolicy.judge(attribute: name)
        #expect(verdict.refusal?.rule == rule)
        if let refusal = verdict.refusal {
            #expect(refusal.errno == (rule == .reservedAttribute ? .notPermitted : .notSupported))
        }
        let isKept = name.hasPrefix("user.") || name.hasPrefix("system.posix_acl_")
        #expect(ArtifactAttribute.isKept(name) == isKept)
        if verdict == .allowed { #expect(isKept, "what may be set is kept") }
    }
}
