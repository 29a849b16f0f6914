from django.views.decorators.csrf import csrf_exempt


# ruleid: python-csrf-exempt
@csrf_exempt
def view(request):
    return None


# ok: python-csrf-exempt
def other(request):
    return None
