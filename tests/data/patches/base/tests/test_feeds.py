from feeds import YAMLInterface


def test_yaml():
    assert YAMLInterface('a: 1').parse('a') == 1
