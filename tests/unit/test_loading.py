"""Loading users' classes: what is found, what is refused, and where the complaint points."""

import sys
from dataclasses import dataclass, field

import pytest

from pingpy.errors import ConfigError
from pingpy.loading import is_foreign, load_class, load_module, load_modules


@dataclass
class Spec:
    path: str
    class_: str = "Auth"
    name: str | None = None
    options: dict = field(default_factory=dict)


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, name, text):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


AUTH = "class Auth:\n    def __init__(self, realm='x'):\n        self.realm = realm\n"


def complaint_of(specs, folder, config=None):
    with pytest.raises(ConfigError) as caught:
        load_modules(specs, folder, config)
    assert len(caught.value.complaints) == 1
    return caught.value.complaints[0]


def test_a_file_gives_an_instance_with_its_options(tmp_path):
    write(tmp_path, "filters/auth.py", AUTH)
    loaded = load_modules([Spec("filters/auth.py", options={"realm": "r"})], tmp_path)
    assert loaded["auth"].realm == "r"


def test_an_importable_name_is_looked_up_beside_the_configuration(tmp_path):
    write(tmp_path, "gate/__init__.py", "")
    write(tmp_path, "gate/keys.py", AUTH)
    loaded = load_modules([Spec("gate.keys", name="keys")], tmp_path)
    assert loaded["keys"].realm == "x"


def test_one_file_named_twice_is_one_module(tmp_path):
    write(tmp_path, "auth.py", AUTH + "class Other(Auth):\n    pass\n")
    loaded = load_modules([Spec("auth.py"), Spec("auth.py", "Other")], tmp_path)
    assert isinstance(loaded["other"], type(loaded["auth"]))


def test_a_neighbour_imports_the_same_module(tmp_path):
    write(tmp_path, "auth_one.py", AUTH)
    write(tmp_path, "auth_two.py", "from auth_one import Auth\nclass Two(Auth):\n    pass\n")
    one = load_class("auth_one.py", "Auth", tmp_path)
    two = load_class("auth_two.py", "Two", tmp_path)
    assert issubclass(two, one)


def test_a_file_called_like_a_library_module_is_loaded_all_the_same(tmp_path):
    write(tmp_path, "json.py", AUTH)
    import json

    assert load_class("json.py", "Auth", tmp_path).__name__ == "Auth"
    assert load_module("json.py", tmp_path) is load_module("json.py", tmp_path)
    assert sys.modules["json"] is json


def test_folders_are_appended_to_the_search_path(tmp_path):
    write(tmp_path, "auth.py", AUTH)
    before = list(sys.path)
    load_class("auth.py", "Auth", tmp_path)
    assert sys.path == [*before, str(tmp_path)]


def test_no_bytecode_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(tmp_path, "auth.py", AUTH)
    load_class("auth.py", "Auth", tmp_path)
    assert not (tmp_path / "__pycache__").exists()
    assert sys.dont_write_bytecode is False


@pytest.mark.parametrize("path", ["worker.py", "sub/master.py", "pingpy", "worker.main"])
def test_our_own_names_are_refused(tmp_path, path):
    complaint = complaint_of([Spec(path)], tmp_path)
    assert "own packages" in complaint.message
    assert complaint.path == ("modules", 0, "path")


def test_a_missing_file_is_named(tmp_path):
    assert f"no file {tmp_path}/no.py" in complaint_of([Spec("no.py")], tmp_path).message


def test_an_error_while_importing_points_at_the_users_line(tmp_path):
    file = write(tmp_path, "auth.py", "x = 1\nif x:\n    import no_such_module_at_all\n")
    complaint = complaint_of([Spec("auth.py")], tmp_path)
    assert (complaint.file, complaint.line, complaint.column) == (str(file), 3, 5)
    assert complaint.source_line == "    import no_such_module_at_all"
    assert complaint.message.endswith("No module named 'no_such_module_at_all'")


def test_an_error_in_a_neighbour_points_there(tmp_path):
    deep = write(tmp_path, "deep_part.py", "def go():\n    return {}['k']\n")
    write(tmp_path, "auth.py", "import deep_part\ndeep_part.go()\n")
    complaint = complaint_of([Spec("auth.py")], tmp_path)
    assert (complaint.file, complaint.line) == (str(deep), 2)
    assert "KeyError: 'k'" in complaint.message


def test_a_syntax_error_points_at_its_line(tmp_path):
    file = write(tmp_path, "auth.py", "x = 1\ndef (\n")
    complaint = complaint_of([Spec("auth.py")], tmp_path)
    assert (complaint.file, complaint.line) == (str(file), 2)
    assert "SyntaxError" in complaint.message


def test_an_exit_at_import_is_a_complaint_too(tmp_path):
    write(tmp_path, "auth.py", "raise SystemExit(0)\n")
    assert "SystemExit" in complaint_of([Spec("auth.py")], tmp_path).message


def test_a_missing_class_is_answered_with_those_there_are(tmp_path):
    write(tmp_path, "auth.py", AUTH)
    complaint = complaint_of([Spec("auth.py", "Atuh")], tmp_path)
    assert "Atuh does not exist" in complaint.message
    assert complaint.help == "classes there: Auth"
    write(tmp_path, "function.py", "def Auth(): pass\n")
    assert "is not a class" in complaint_of([Spec("function.py")], tmp_path).message


def test_options_that_the_class_does_not_take_are_refused(tmp_path):
    write(tmp_path, "auth.py", AUTH)
    complaint = complaint_of([Spec("auth.py", options={"raelm": 1})], tmp_path)
    assert "unexpected keyword argument 'raelm'" in complaint.message
    assert complaint.path == ("modules", 0, "options")


def test_a_class_may_refuse_the_whole_configuration(tmp_path):
    file = write(
        tmp_path,
        "auth.py",
        AUTH + "    def check(self, config):\n        raise ValueError(f'no {config}')\n",
    )
    complaint = complaint_of([Spec("auth.py")], tmp_path, "this")
    assert complaint.message == "Auth refuses its configuration: ValueError: no this"
    assert (complaint.file, complaint.line) == (str(file), 5)


def test_all_modules_are_complained_about_at_once(tmp_path):
    write(tmp_path, "auth.py", "1/0\n")
    with pytest.raises(ConfigError) as caught:
        load_modules([Spec("auth.py"), Spec("no.py")], tmp_path)
    assert len(caught.value.complaints) == 2


def test_foreign_files_are_neither_ours_nor_the_librarys():
    assert is_foreign("/srv/filters/auth.py")
    for module in ("pingpy.loading", "json", "pytest", "worker"):
        assert not is_foreign(sys.modules.get(module, __import__(module)).__file__)
    assert not is_foreign("<frozen importlib._bootstrap>")
