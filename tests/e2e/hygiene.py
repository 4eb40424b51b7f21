"""The project speaks of itself alone, its documents point to what exists, and every test that docs/protocol.md names is
there."""
import os
import re
import subprocess
import sys

source = os.environ["ZEF_SOURCE"]
problems = []

# Places on some machine, and hosts that a reader has no part in. Split, so that this file does not find itself.
foreign = re.compile("|".join(["/" + "work/(main|shared|build)", "/" + "home/[a-z]+/", "/" + "tmp/brief",
                               "/" + "Users/", "[a-z0-9.-]+\\." + "internal(?=[/:])", "192\\." + "168\\."]))


def tracked():
    names = subprocess.run(["git", "-C", source, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if names.returncode == 0:
        return [name for name in names.stdout.split("\0") if name]
    # Not a checkout but a copy of one.
    return [os.path.relpath(os.path.join(folder, name), source) for top in ("src", "docs", "tests", "scripts", "cmake")
            for folder, _, files in os.walk(os.path.join(source, top)) for name in files if "node_modules" not in folder] + ["README.md"]


def text_of(name):
    try:
        with open(os.path.join(source, name), encoding="utf-8") as file:
            return file.read()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return ""  # bytes, such as a fuzzer's corpus, or deleted just now


def check_words(texts):
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if found := foreign.search(line):
                problems.append(f"{name}:{number}: '{found.group()}' is of some machine, not of this project")


def check_links(texts):
    for name, text in texts.items():
        if not name.endswith(".md"):
            continue
        folder = os.path.dirname(name)
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in link and not os.path.exists(os.path.join(source, folder, link)):
                problems.append(f"{name}: the link to {link} leads nowhere")
        for path in re.findall(r"`((?:docs|src|tests|scripts|cmake|\.ci)/[\w./-]+)`", text):
            if not os.path.exists(os.path.join(source, path)):
                problems.append(f"{name}: there is no {path}")


def check_tests(texts):
    code = "\n".join(text for name, text in texts.items() if name.endswith(("_test.cpp", ".h")) or "tests/" in name)
    tests = set(re.findall(r"\b(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", code))
    suites = {suite for suite, _ in tests}
    instances = set(re.findall(r"\bINSTANTIATE_(?:TYPED_)?TEST_SUITE_P\(\s*(\w+)\s*,", code))
    fuzzers = {os.path.basename(name).removesuffix(".cpp") for name in texts if name.endswith("_fuzz.cpp")}
    count = 0
    for line in texts["docs/protocol.md"].splitlines():
        suite = None
        for word in re.findall(r"`([\w./*]+)`", line) if line.startswith("|") else []:
            if match := re.fullmatch(r"(?:\w+/)?([A-Z]\w*)?\.(\w+|\*)", word):
                suite = match.group(1) or suite
                name = match.group(2)
                known = suite in suites if name == "*" else (suite, name) in tests
            elif match := re.fullmatch(r"([A-Z]\w*)/\*", word):
                known = match.group(1) in instances | suites
            elif word.endswith("_fuzz"):
                known = word in fuzzers
            else:
                continue
            count += 1
            if not known:
                problems.append(f"docs/protocol.md: there is no test {word}" + (f" of {suite}" if word[0] == "." else ""))
    if count < 100:
        problems.append(f"docs/protocol.md: only {count} tests are named: have its tables another form now?")
    return count


def main():
    texts = {name: text_of(name) for name in tracked()}
    check_words(texts)
    check_links(texts)
    count = check_tests(texts)
    for problem in problems:
        print(problem)
    print(f"{len(texts)} files, {count} names of tests, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
