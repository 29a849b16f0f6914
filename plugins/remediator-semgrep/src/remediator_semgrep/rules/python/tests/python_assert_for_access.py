def view(request, number):
    # ruleid: python-assert-for-access
    assert request.user.is_authenticated
    # ruleid: python-assert-for-access
    assert request.user.has_perm("change"), "no"
    # ok: python-assert-for-access
    assert number > 0
    # ok: python-assert-for-access
    if not request.user.is_authenticated:
        raise PermissionError
