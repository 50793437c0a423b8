/// Which argument of an interpreter is the script that it runs.
enum ScriptArgument {
    /// - Parameters:
    ///   - program: the path of the program.
    ///   - arguments: its arguments, with its own name first.
    /// - Returns: the path as it was given; nil when it runs none, such as a program given with `-c`, a module, or its input.
    static func script(of program: String, _ arguments: [String]) -> String? {
        guard let interpreter = interpreter(program) else { return nil }
        var rest = arguments.dropFirst()
        while let argument = rest.popFirst() {
            if argument == "--" { return rest.first }
            guard argument.utf8.first == UInt8(ascii: "-"), argument.utf8.count > 1 else {
                // The program's text comes first, and a file of it only with an option.
                return interpreter.isTextFirst || argument == "-" ? nil : argument
            }
            if interpreter.files.contains(argument) { return rest.first }
            if let option = interpreter.files.first(where: { $0.hasPrefix("--") && argument.hasPrefix($0 + "=") }) {
                return String(argument.dropFirst(option.utf8.count + 1))
            }
            if interpreter.texts.contains(where: { isOption(argument, $0) }) { return nil }
            if interpreter.values.contains(argument) { rest = rest.dropFirst() }
        }
        return nil
    }

    private struct Interpreter {
        /// Options after which no script comes: the program's text, or a module's name.
        var texts: [String] = []
        /// Options whose value is the next argument.
        var values: [String] = []
        /// Options whose value is the script.
        var files: [String] = []
        var isTextFirst = false
    }

    /// Short options may stand together: `-lc`.
    private static func isOption(_ argument: String, _ option: String) -> Bool {
        if option.hasPrefix("--") { return argument == option }
        guard let letter = option.utf8.last, !argument.hasPrefix("--") else { return false }
        return argument.utf8.dropFirst().contains(letter)
    }

    private static func interpreter(_ program: String) -> Interpreter? {
        let name = program.utf8.split(separator: UInt8(ascii: "/")).last.flatMap { String($0) } ?? program
        // `python3.11` is python.
        let plain = String(name.prefix { !$0.isNumber && $0 != "." })
        switch plain {
        case "python", "pypy": return Interpreter(texts: ["-c", "-m"], values: ["-X", "-W"])
        case "bash", "sh", "dash", "zsh", "ksh", "mksh":
            return Interpreter(texts: ["-c", "-s"], values: ["-o", "+o", "-O", "--rcfile", "--init-file"])
        case "perl": return Interpreter(texts: ["-e", "-E"], values: ["-I"])
        case "ruby": return Interpreter(texts: ["-e"], values: ["-I", "-r"])
        case "Rscript": return Interpreter(texts: ["-e"])
        case "R": return Interpreter(texts: ["-e"], files: ["-f", "--file"], isTextFirst: true)
        case "julia", "lua", "luajit": return Interpreter(texts: ["-e", "-E"], values: ["-J", "-t", "-p", "-L", "-l"])
        case "node", "deno", "bun": return Interpreter(texts: ["-e", "-p"], values: ["-r"])
        case "awk", "gawk", "mawk", "nawk":
            return Interpreter(texts: [], values: ["-F", "-v"], files: ["-f", "--file"], isTextFirst: true)
        case "sed": return Interpreter(texts: [], values: ["-e", "-l"], files: ["-f", "--file"], isTextFirst: true)
        case "make", "gmake":
            return Interpreter(
                values: ["-C", "-j", "-I", "-o", "-W"], files: ["-f", "--file", "--makefile"], isTextFirst: true)
        default: return nil
        }
    }
}
