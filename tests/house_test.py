"""What stands around the package agrees with it: version, citation, hooks, templates, and what a release needs."""

import importlib.util
import pathlib
import re
import subprocess
import tempfile
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf
import yaml

import tf_metamapg

ROOT = pathlib.Path(__file__).parent.parent
TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def read(path):
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def release():
    """The module of `bin/release`."""
    loader = importlib.machinery.SourceFileLoader("release", str(ROOT / "bin" / "release"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("release", loader))
    loader.exec_module(module)
    return module


class CitationTest(tf.test.TestCase):

    def test_version(self):
        self.assertEqual(read("CITATION.cff")["version"], tf_metamapg.__version__)
        self.assertEqual(release().version(), tf_metamapg.__version__)

    def test_what_is_cited(self):
        citation = read("CITATION.cff")
        self.assertEqual(citation["cff-version"], "1.2.0")
        self.assertContainsSubset({"message", "title", "authors"}, citation)
        self.assertEqual((citation["title"], citation["type"]), ("tf_metamapg", "software"))
        self.assertEqual(citation["authors"], [{"name": "The authors of tf_metamapg"}])
        self.assertIn(f'\nlicense = "{citation["license"]}"\n', (ROOT / "pyproject.toml").read_text("utf-8"))
        (paper,) = citation["references"]
        self.assertEqual(paper["identifiers"], [{"type": "other", "value": "arXiv:2011.00382"}])
        for key in ("type", "title", "authors"):
            self.assertTrue(paper[key])


class ChangelogTest(tf.test.TestCase):

    def test_the_version_to_come_is_first(self):
        first = re.search(r"^## (\S+)( \(in preparation\))?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
        self.assertEqual(first[1], tf_metamapg.__version__.removesuffix(".dev0"))
        self.assertEqual(bool(first[2]), tf_metamapg.__version__.endswith(".dev0"))


class HooksTest(tf.test.TestCase):

    def test_they_fetch_nothing(self):
        """And run what the extra `test` installs."""
        (repo,) = read(".pre-commit-config.yaml")["repos"]
        self.assertEqual(repo["repo"], "local")
        (extra,) = re.findall(r"^test = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.M | re.S)
        for hook in repo["hooks"]:
            self.assertEqual(hook["language"], "system")
            self.assertIn(f'"{hook["entry"].split()[0]}>=', extra)
            for word in hook["entry"].split():
                self.assertTrue("/" not in word or (ROOT / word).exists(), word)
            re.compile(hook.get("files", ""))


class TemplatesTest(tf.test.TestCase, parameterized.TestCase):

    def test_there_are_some(self):
        self.assertEqual([path.stem for path in TEMPLATES], ["bug", "member", "question"])

    @parameterized.parameters(*TEMPLATES)
    def test_template(self, path):
        template = read(path.relative_to(ROOT))
        self.assertContainsSubset({"name", "description", "body"}, template)
        identifiers = [field["id"] for field in template["body"]]
        self.assertLen(set(identifiers), len(identifiers))
        for field in template["body"]:
            self.assertIn(field["type"], ("dropdown", "input", "textarea"))
            self.assertTrue(field["attributes"]["label"])


class ContributingTest(tf.test.TestCase):

    def test_what_it_names_is_there(self):
        text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
        named = re.findall(r"`((?:tests|bin|gin_configs|reproductions|runs|tf_metamapg|results|\.ci)/[^`\s]*)", text)
        self.assertGreater(len(named), 10)
        for path in named:
            if "my_agent" not in path:
                self.assertTrue((ROOT / path).exists() or (ROOT / "tf_metamapg" / path).exists(), path)


class ReleaseTest(tf.test.TestCase, parameterized.TestCase):

    def unready(self, files, not_committed=()):
        """Why a checkout with these files is no release."""
        module = release()
        root = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        (root / "tf_metamapg").mkdir()
        for name, text in files.items():
            (root / name).write_text(text, "utf-8")
        git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--no-verify", "-m", "All"]):
            subprocess.run([*git, *command], cwd=root, check=True)
        for name in not_committed:
            (root / name).write_text("new", "utf-8")
        with mock.patch.object(module, "ROOT", root):
            return list(module.unready(module.version()))

    def files(self, version="1.2.3", changelog="1.2.3", citation="1.2.3", released="date-released: 2020-01-01\n"):
        return {
            "tf_metamapg/__init__.py": f'import os\n\n__version__ = "{version}"\n',
            "CHANGELOG.md": f"# Changelog\n\n## {changelog}\n", "README.md": "old",
            "CITATION.cff": f"a: b\nversion: {citation}\n{released}",
        }

    def test_ready(self):
        self.assertEmpty(self.unready(self.files()))

    @parameterized.parameters(
        ({"not_committed": ["new", "README.md"]}, {}, "not everything is committed: README.md, new"),
        ({}, {"version": "1.2.4.dev0", "changelog": "1.2.4.dev0", "citation": "1.2.4.dev0"}, "version 1.2.4.dev0 of "
         "tf_metamapg/__init__.py is none of a release"),
        ({}, {"changelog": "1.2.3 (in preparation)"}, "CHANGELOG.md has no heading '## 1.2.3'"),
        ({}, {"changelog": "1.2.30"}, "CHANGELOG.md has no heading '## 1.2.3'"),
        ({}, {"citation": "1.2.30"}, "CITATION.cff has another version than 1.2.3"),
        ({}, {"released": ""}, "CITATION.cff has no date-released"),
    )
    def test_not_ready(self, keywords, others, reason):
        self.assertEqual(self.unready(self.files(**others), **keywords), [reason])

    def test_refuses(self):
        module = release()
        with mock.patch.object(module, "unready", lambda version: ["this"]), mock.patch("sys.argv", ["bin/release"]):
            self.assertEqual(module.main(), 2)


if __name__ == "__main__":
    tf.test.main()
