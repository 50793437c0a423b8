/// Keys that sign nothing but what tests make.
enum SampleKeys {
    /// The name of ``publicKey``, as `sha256sum` says.
    static let id = "666a72a1aaff28f1d780b9f2cbc341aff8ea1ed015e6aee28451197e95fcec8c"
    static let privateKey = Array(
        """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIDmfNNto2l+mYtoVGUbLAQd44IN37WxyTtLQDcEfGxUcoAoGCCqGSM49
        AwEHoUQDQgAEZRMg7tYm9sYLNcWzqH8hMspfcu8A+cSdnNs4/zVMBK5S+Z/MbNYR
        8DXvN7D741nTiMT4hFuOMUY1pGnJRS7Pkw==
        -----END EC PRIVATE KEY-----

        """.utf8)
    static let privateKeyPKCS8 = Array(
        """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOZ8022jaX6Zi2hUZ
        RssBB3jgg3ftbHJO0tANwR8bFRyhRANCAARlEyDu1ib2xgs1xbOofyEyyl9y7wD5
        xJ2c2zj/NUwErlL5n8xs1hHwNe83sPvjWdOIxPiEW44xRjWkaclFLs+T
        -----END PRIVATE KEY-----

        """.utf8)
    static let publicKey = Array(
        """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZRMg7tYm9sYLNcWzqH8hMspfcu8A
        +cSdnNs4/zVMBK5S+Z/MbNYR8DXvN7D741nTiMT4hFuOMUY1pGnJRS7Pkw==
        -----END PUBLIC KEY-----

        """.utf8)
    static let otherPublicKey = Array(
        """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/sAEq6wbCBDjv7R4Q8wUNi11m03D
        ltF/PLYT0ZeuyDCyLTiEGZG2Q64b57SDf1ctRuP8gD1VDPs53ej5fDHMEQ==
        -----END PUBLIC KEY-----

        """.utf8)
    static let withParameters = Array(
        """
        -----BEGIN EC PARAMETERS-----
        BggqhkjOPQMBBw==
        -----END EC PARAMETERS-----
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIOf7gRZb+SRh1F+PUQ2UZRWiwJQchCTxijkP/9uRN9X3oAoGCCqGSM49
        AwEHoUQDQgAEOBlKoDOMdNmvsu5GsTvezbN3WywCuoi8ZngMBS7GndVxVfzJovg5
        IF2hDw98967SU0i1L9WyFfjBeNNnDZIUUw==
        -----END EC PRIVATE KEY-----

        """.utf8)
    static let encrypted = Array(
        """
        -----BEGIN EC PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        DEK-Info: AES-128-CBC,ED735BF2AC84DB4D7B770A80909F25AE

        vmnAclfq1dh5oLHW7S7MdcQl5gxRV50ttplVMhEm3ZTUQol15VCZYmqSBR//asc3
        PP4qrPe0k8oQkqFWQqHZMnnLJst0n+hvI9CdmgLdwvae5cEOY53jMkIy3hJx9f5I
        iHY+203ROQdPxFoMBn1/vGGw1FTChKidKgdvvJ0fNak=
        -----END EC PRIVATE KEY-----

        """.utf8)
    static let encryptedPKCS8 = Array(
        """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgdwAUyY07kggICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDHS1A53sQUHIh2zoRnlrHcEgZCv
        VfwEgo1hdshveonT2T331oWFJ4hkko2fvdt79qiixMkSRzqLMrFwmdSQSFSxF2eF
        4aNLA2vKGwm7YmSkL+2XlZvCGtikFCkQQZ6zhmBF4OX5SlDYDZFXNBtRDx7jTSa7
        YnGDb13qoq2hJia7/DEnzF3rv+eNCYb9KRM8LPLLV3YwnDdAdsOVDgqpAWd+DRQ=
        -----END ENCRYPTED PRIVATE KEY-----

        """.utf8)
    static let curve384 = Array(
        """
        -----BEGIN EC PRIVATE KEY-----
        MIGkAgEBBDAo1IbGyyPtk67wAkhYQjkjdsfu7MEsLNtDeQOZ8J/xWcX6JOdeCgRg
        YtjrjUDwX1KgBwYFK4EEACKhZANiAAQTGcgDMcoF9s3ot295cr5bQ9jOvEsbZG/+
        qJbybI5GBmcRHJF5rCf49qr4r00KS4onMQb/X0dMRRKiLt2hm8Ug0dPBaKtK3Gok
        dxxqlzII6RlyU7wMyhzDGxsR9uLKfVk=
        -----END EC PRIVATE KEY-----

        """.utf8)
    static let explicitCurve = Array(
        """
        -----BEGIN EC PRIVATE KEY-----
        MIIBaAIBAQQgeeyHNjKbBnNLEe3uqhv1HQpGBSYFr4YYFYI7/Rg931mggfowgfcC
        AQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAAAAAAAAAAAAAA////////////////
        MFsEIP////8AAAABAAAAAAAAAAAAAAAA///////////////8BCBaxjXYqjqT57Pr
        vVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSdNgiG5wSTamZ44ROdJreBn36QBEEE
        axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54W
        K84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA//////////+85vqtpxeehPO5ysL8
        YyVRAgEBoUQDQgAEWm1eSUpQIqqKT0mw/bB3XunUFIq0MQoTxGi8lZGCZ0kcxCPk
        h4YC52Y3FSZN06qqebWFWshFo9HPcM6qbPv6Lg==
        -----END EC PRIVATE KEY-----

        """.utf8)
    static let edwards = Array(
        """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIO/GT35d2Ckv1/UF4r1Ai2M1I3/h63aqXOvP7mQvZmEt
        -----END PRIVATE KEY-----

        """.utf8)
    static let certificate = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBbzCCARWgAwIBAgIUBcCJrFTgiJyodF4xem7avdZWsj0wCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBeDAgFw0yNjExMjgwMjUwMjJaGA8yMTI2MTEwNDAyNTAyMlow
        DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGUTIO7WJvbG
        CzXFs6h/ITLKX3LvAPnEnZzbOP81TASuUvmfzGzWEfA17zew++NZ04jE+IRbjjFG
        NaRpyUUuz5OjUzBRMB0GA1UdDgQWBBQbdZtEMIOiNdQhyIK77Hc+iBIBIzAfBgNV
        HSMEGDAWgBQbdZtEMIOiNdQhyIK77Hc+iBIBIzAPBgNVHRMBAf8EBTADAQH/MAoG
        CCqGSM49BAMCA0gAMEUCIAodvaQAp4iC6KhV9CpjgvDImIjaVlShQOLuJmIPNYm+
        AiEAwwZ8LA73Lx8kUttdCANbf+RuZQCpmD96TrrJCbW8jq4=
        -----END CERTIFICATE-----

        """.utf8)
}
