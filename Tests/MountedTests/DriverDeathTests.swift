import Glibc
import TestSupport
import Testing

/// The driver is killed (`kill -9`) while programs publish as quickly as they can. The next mount finds every artifact whole, with one
/// record, or absent with its bytes kept; nothing that a program closed is lost, and nothing stays in staging.
extension MountedTests {
    @Suite struct DriverDeathTests {
        /// Writes tables until the mount is gone, and says which of them it has closed.
        private static let writer = """
            import os, sys
            mount, prefix = sys.argv[1:]
            number = 0
            try:
                while True:
                    name = f'{prefix}{number}'
                    rows = 60_000 if number % 40 == 39 else 5
                    with open(f'{mount}/production/base/analysis_sequences/{name}.tsv', 'w') as file:
                        file.write('name\\tvalue\\n' + f'{name}\\t{number}\\n' * rows)
                    os.write(1, f'{name}\\n'.encode())
                    number += 1
            except OSError as error:
                os.write(1, f'# {error.strerror}\\n'.encode())
            """

        /// Looks at a store that nobody is writing to, and says what is wrong with it.
        private static let judge = """
            import hashlib, json, os, re, stat, sys
            store, closed = sys.argv[1], set(sys.stdin.read().split())
            problems = []
            def whole(name, text):
                lines = text.split('\\n')
                number = re.search(r'\\d+$', name)[0]
                rows = 60_000 if int(number) % 40 == 39 else 5
                return lines[0] == 'name\\tvalue' and lines[1:] == [f'{name}\\t{number}'] * rows + ['']
            own = store + '/.artifactfs/'
            seals, previous = {}, '0' * 64
            for ledger in os.listdir(own + 'ledger'):
                for line in open(own + 'ledger/' + ledger, 'rb').read().split(b'\\n')[:-1]:
                    entry = json.loads(line)
                    if entry['prev'] != previous: problems.append(f'line {entry["seq"]} does not follow the one before')
                    previous = hashlib.sha256(line).hexdigest()
                    if entry['event'] == 'sealed':
                        seals.setdefault(os.path.basename(entry['record']['artifact']['path'])[:-4], []).append(entry['sha256'])
            published = set()
            for place, _, files in os.walk(store + '/base_layer'):
                for file in files:
                    name = re.search(r'chr\\w+(?=\\.tsv$)', file)
                    path = os.path.join(place, file)
                    if not name:
                        problems.append(f'{path} has no business there')
                        continue
                    name = name[0]
                    published.add(name)
                    content = open(path, 'rb').read()
                    if not whole(name, content.decode()): problems.append(f'{name} is not whole')
                    if os.stat(path).st_mode & 0o222: problems.append(f'{name} can be written to')
                    if seals.pop(name, []) != [hashlib.sha256(content).hexdigest()]: problems.append(f'{name}: its record')
            for name in seals: problems.append(f'{name} is recorded and is not there')
            kept = set()
            for file in os.listdir(own + 'quarantine'):
                if not file.endswith('.reason.json'):
                    name = re.search(r'chr\\w+(?=\\.tsv)', file)[0]
                    if whole(name, open(own + 'quarantine/' + file).read()): kept.add(name)
                    elif name in closed: problems.append(f'{name} was closed and what is kept is not whole')
            for name in closed - published - kept: problems.append(f'{name} was closed and is lost')
            staged = [file for _, _, files in os.walk(own + 'staging') for file in files if file != '.lock']
            if staged: problems.append(f'left in staging: {staged}')
            print(len(published), len(kept), *problems[:10], sep='\\n')
            """

        @Test(arguments: [true, false], [MountVariant.Durability.relaxed, .synced])
        func nothingIsLostAndNothingIsHalf(_ passthrough: Bool, _ durability: MountVariant.Durability) throws {
            let variant = MountVariant(passthrough: passthrough, durability: durability)
            let directory = try TemporaryDirectory()
            let store = directory.path + "/store"
            try Mount.initialize(store: store)
            var random = SplitMix64(seed: 24_11)
            var closed: [String] = []
            for round in 0..<5 {
                let mount = try Mount(store: store, variant)
                let writers = try (0..<3).map { writer in
                    try Child([testPython, "-c", Self.writer, mount.root, "chrUn_\(round)w\(writer)n"])
                }
                // However slow the machine is, each has closed a few.
                #expect(eventually { writers.allSatisfy { $0.output.count { $0 == "\n" } > 3 } })
                usleep(UInt32(random.next() % 150_000))
                mount.kill()
                for writer in writers {
                    #expect(writer.wait(seconds: 20), "the writer learns of it")
                    let lines = writer.output.split(separator: "\n")
                    #expect(lines.last?.hasPrefix("# ") == true, "\(writer.errors)")
                    closed += lines.dropLast().map(String.init)
                }
                // The next mount settles what this one left.
                let next = try Mount(store: store, variant)
                try next.unmount()
                let verdict = try python(Self.judge, [store], input: closed.joined(separator: "\n"))
                let lines = verdict.output.split(separator: "\n")
                #expect(verdict.succeeded && lines.count == 2, "round \(round): \(verdict)")
                #expect(lines.first.flatMap { Int($0) } ?? 0 > 0, "something was published")
            }
            #expect(closed.count > 50, "only \(closed.count) files were closed")
        }
    }
}

extension MountedTests {
    @Suite struct EndTests {
        /// What was closed before the mount ended is published, however it ends: the kernel's RELEASE may still be under way, or dropped.
        @Test(arguments: [true, false]) func whatWasClosedIsPublished(isSignal: Bool) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/store"
            try Mount.initialize(store: store)
            for round in 0..<12 {
                let mount = try Mount(store: store)
                let names = (0..<20).map { "chrUn_\(round).\($0).tsv" }
                for name in names { try write(table, to: mount.production("base/splice_errors/" + name)) }
                if isSignal {
                    mount.driver.signal(SIGTERM)
                    #expect(mount.driver.wait(seconds: 60))
                } else {
                    #expect(try mount.unmount() == 0)
                }
                for name in names {
                    #expect((try? contents(mount.real("base_layer/splice_errors_" + name))) == table, "\(name)")
                }
                #expect(mount.quarantined().isEmpty)
            }
        }
    }
}
