import Attestations
import Testing

@Suite struct KeyTests {
    @Test(arguments: [SampleKeys.privateKey, SampleKeys.privateKeyPKCS8])
    func whatAKeySignsItsOtherHalfVerifies(pem: [UInt8]) throws {
        let key = try EllipticKey(.privateKey, pem: pem)
        let half = try EllipticKey(.publicKey, pem: SampleKeys.publicKey)
        #expect(key.id == SampleKeys.id && half.id == SampleKeys.id)
        let text = Array("what is signed".utf8)
        let signature = try #require(key.signature(of: text))
        #expect(half.verifies(signature, of: text) && key.verifies(signature, of: text))
        #expect(!half.verifies(signature, of: text + [0]) && !half.verifies(signature, of: []))
        #expect(try !EllipticKey(.publicKey, pem: SampleKeys.otherPublicKey).verifies(signature, of: text))
        #expect(half.signature(of: text) == nil, "only the private one signs")
        // Any bit of it.
        for place in signature.indices {
            for bit in [UInt8(1), 0x80] {
                var changed = signature
                changed[place] ^= bit
                #expect(!half.verifies(changed, of: text), "byte \(place)")
            }
            #expect(!half.verifies(Array(signature.prefix(place)), of: text))
        }
    }

    @Test func parametersBeforeTheKeyArePassedOver() throws {
        #expect(throws: Never.self) { try EllipticKey(.privateKey, pem: SampleKeys.withParameters) }
    }

    @Test(
        arguments: [
            (.privateKey, SampleKeys.encrypted, .encrypted), (.privateKey, SampleKeys.encryptedPKCS8, .encrypted),
            (.privateKey, SampleKeys.publicKey, .other(.publicKey)),
            (.publicKey, SampleKeys.privateKey, .other(.privateKey)),
            (.publicKey, SampleKeys.privateKeyPKCS8, .other(.privateKey)),
            (.privateKey, SampleKeys.curve384, .curve("secp384r1")),
            (.privateKey, SampleKeys.edwards, .kind("ED25519")),
            (.publicKey, SampleKeys.certificate, .certificate), (.privateKey, SampleKeys.certificate, .certificate),
            (.privateKey, [], .noKey), (.publicKey, [], .noKey), (.privateKey, Array("x\n".utf8), .noKey),
            (.privateKey, Array(SampleKeys.privateKey.prefix(100)), .noKey),
            (.publicKey, Array(SampleKeys.publicKey.prefix(100)), .noKey),
        ] as [(EllipticKey.Half, [UInt8], EllipticKey.KeyFault)])
    func whatIsNoKeyIsNamed(half: EllipticKey.Half, pem: [UInt8], fault: EllipticKey.KeyFault) {
        #expect(throws: fault) { try EllipticKey(half, pem: pem) }
    }

    /// A curve by its numbers may be another one than it says.
    @Test func aCurveWithoutANameIsRefused() {
        #expect(throws: EllipticKey.KeyFault.self) { try EllipticKey(.privateKey, pem: SampleKeys.explicitCurve) }
    }
}
