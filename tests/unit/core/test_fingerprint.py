from repdrift.core.fingerprint import config_sha256


def test_config_hash_ignores_key_order_and_sees_every_value():
    assert config_sha256({"a": 1, "b": 2}) == config_sha256({"b": 2, "a": 1})
    assert config_sha256({"a": 1, "b": 2}) != config_sha256({"a": 1, "b": 3})
